"""Episodes that say most: the best, the median and the worst one, as pictures."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from episodes.images.labelled import LabelledImages
from episodes.sampler import EpisodeIndices
from fewshot_sla.reporting.html import count
from fewshot_sla.reporting.overview.parts import Asked, Example, ExampleRow

MOST_SUPPORT, MOST_QUERIES = 5, 8  # pictures of each class that are shown


def chosen_episodes(
    correct: NDArray[np.int64],  # [E, N] right answers for each class of each episode
) -> dict[str, int]:
    """Numbers of the best, the median and the worst episode; of equal ones the first.

    The median one has as many above as below, of an even number of episodes the lower of the two in the middle.

    >>> chosen_episodes(np.array([[3, 3], [9, 9], [1, 0], [5, 4]]))
    {'Best': 1, 'Median': 0, 'Worst': 2}
    """
    order = np.lexsort((np.arange(len(correct)), correct.sum(axis=1)))  # ascending
    totals = correct.sum(axis=1)[order]
    best = order[np.searchsorted(totals, totals[-1])]
    return {"Best": int(best), "Median": int(order[(len(order) - 1) // 2]), "Worst": int(order[0])}


def episode_example(
    kind: str,  # "Best", ...
    number: int,  # of the episode
    correct: NDArray[np.int64],  # [N] right answers that the test counted
    n_query: int,
    images: LabelledImages,
    indices: EpisodeIndices,  # of E episodes
    predicted: Tensor,  # [E, R] int64, 0..N-1
    place: int,  # of the episode among them
) -> Example:
    """A row a class: its support, and its queries, the mistaken ones first, with the row that they were taken for."""
    classes, guesses = indices.classes[place], predicted[place]
    names = [images.class_names[int(c)] for c in classes]
    rows = []
    for label, name in enumerate(names):
        known = indices.support[place][indices.support_labels[place] == label][:MOST_SUPPORT]
        mine = (indices.query_labels[place] == label).nonzero().flatten()
        wrong_first = sorted(mine.tolist(), key=lambda row: int(guesses[row]) == label)[:MOST_QUERIES]
        asked = tuple(
            Asked(_pixels(images, int(query)), guess == label, names[guess], f"as {guess + 1}")
            for query, guess in ((indices.query[place][row], int(guesses[row])) for row in wrong_first)
        )
        rows.append(ExampleRow(name, tuple(_pixels(images, int(k)) for k in known), asked, str(label + 1)))
    share = correct.sum() / (n_query * len(names))
    title = f"{kind} episode: number {number}, {100 * share:.2f} % right"
    shown = min(MOST_QUERIES, n_query)
    hidden = f", {shown} of the {n_query} queries of each class, the mistaken ones first" if shown < n_query else ""
    note = f"{int(correct.sum())} of {count(n_query * len(names), 'query', 'queries')} right{hidden}."
    again = int((guesses == indices.query_labels[place]).sum())
    if again != correct.sum():
        note += f" Predicted again on this device it were {again}."
    return Example(title, tuple(rows), note)


def _pixels(images: LabelledImages, number: int) -> NDArray[np.uint8]:
    return images.images[number].cpu().numpy()
