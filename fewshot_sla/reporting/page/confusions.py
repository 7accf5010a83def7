"""What is taken for what: a matrix of few classes, of many the pairs that are confused most often."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from fewshot_sla.reporting.html import count, element, name, text, whole_percent

LARGEST_MATRIX = 20  # classes; beyond it the frequent confusions say more than a table that nobody can read
MOST_CONFUSIONS = 25


def matrix(classes: Sequence[str], confusion: NDArray[np.int64]) -> str:  # confusion [N, N] int64
    """How often a picture of each class (row) was given each label (column); an empty cell means never."""
    head = ['<th scope="col" class="corner">right label ↓<br>given label →</th>']
    head += [f'<th scope="col" title="{text(label)}"><span>{name(label)}</span></th>' for label in classes]
    rows = []
    for i, label in enumerate(classes):
        cells = "".join(_cell(int(times), i == j, int(confusion[i].sum())) for j, times in enumerate(confusion[i]))
        rows.append(f'<tr><th scope="row">{name(label)}</th>{cells}</tr>')
    table = element("table", [f"<thead><tr>{''.join(head)}</tr></thead>", element("tbody", rows)], class_="matrix")
    # A box of its own: a wide matrix scrolls inside it, by touch or by the arrow keys, and the page does not.
    return element("div", [table], class_="scroll", tabindex="0", role="region", aria_label="Confusion matrix")


def _cell(times: int, is_right: bool, of: int) -> str:
    if not times:
        return "<td></td>"
    return f'<td class="{"right" if is_right else "wrong"}" style="--share:{times / of:.2f}">{times:,}</td>'


def frequent_confusions(
    classes: Sequence[str],
    confusion: NDArray[np.int64],  # [N, N] int64, right class in the row, given label in the column
    most: int = MOST_CONFUSIONS,
    chances: NDArray[np.int64] | None = None,  # [N, N] int64, of how many; by default of all pictures of the class
) -> Iterator[str]:
    """A table of the pairs that are confused most often, and a line that says how many more there are."""
    rights, givens = np.nonzero(confusion)  # of thousands of classes most cells are empty
    rights, givens = rights[rights != givens], givens[rights != givens]
    times = confusion[rights, givens]
    of = confusion.sum(axis=1)[rights] if chances is None else chances[rights, givens]
    shares = times / of.clip(min=1)
    order = np.lexsort((-shares, -times))[:most]
    rows = ['<tr><th scope="col">Right label</th><th scope="col">Given label</th><th scope="col">Pictures</th></tr>']
    for pair in order:
        share = f"{times[pair]:,} of {of[pair]:,} ({text(whole_percent(shares[pair]))})"
        cells = f'<td>{name(classes[givens[pair]])}</td><td class="number">{share}</td>'
        rows.append(f'<tr><th scope="row">{name(classes[rights[pair]])}</th>{cells}</tr>')
    yield element("table", [element("thead", rows[:1]), element("tbody", rows[1:])], class_="list")
    if len(times) > most:
        yield f'<p class="soft">and {count(len(times) - most, "pair")} of classes more.</p>'
