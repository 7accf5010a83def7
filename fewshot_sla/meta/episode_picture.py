"""One episode as a picture: the support images of each class, and its queries with what was predicted."""

from pathlib import Path

from matplotlib.axes import Axes
from torch import Tensor

from episodes.images.labelled import LabelledImages
from episodes.sampler import EpisodeIndices
from fewshot_sla.reporting.pictures import RIGHT, WRONG, picture

_MOST_SUPPORT, _MOST_QUERIES = 5, 10  # images of each class that are shown


def draw_episode(
    path: Path,
    images: LabelledImages,
    episode: EpisodeIndices,  # T = 1
    predicted: Tensor,  # [N*Q] int64, labels 0..N-1
    title: str,
) -> None:
    """Draw an episode: a row a class; a right query has a green frame, a wrong one a red frame and the class it got.

    Args:
        path: PNG to write.
        images: what the episode was drawn from.
        episode: which images.
        predicted: label of each query.
        title: above the picture.
    """
    support_labels, query_labels, classes = episode.support_labels[0], episode.query_labels[0], episode.classes[0]
    n_way = len(classes)
    shown_support = min(_MOST_SUPPORT, len(support_labels) // n_way)
    shown_queries = min(_MOST_QUERIES, len(query_labels) // n_way)
    columns = shown_support + 1 + shown_queries  # a gap between support and queries
    with picture(path, 1.6 + 0.72 * columns, 0.9 + 0.95 * n_way) as figure:
        grid = figure.subplots(n_way, columns, squeeze=False)
        figure.suptitle(f"{title}   support | queries", fontsize=10)
        for axes in grid.flat:
            axes.set_axis_off()
        for label in range(n_way):
            row = grid[label]
            row[0].set_title(images.class_names[int(classes[label])], fontsize=7, loc="left")
            for axes, number in zip(row, episode.support[0][support_labels == label], strict=False):
                if axes in row[:shown_support]:
                    _show(axes, images.images[number])
            mine = query_labels == label
            pairs = zip(episode.query[0][mine][:shown_queries], predicted[mine][:shown_queries], strict=True)
            for axes, (number, guess) in zip(row[shown_support + 1 :], pairs, strict=True):
                _show(axes, images.images[number])
                right = int(guess) == label
                _frame(axes, RIGHT if right else WRONG)
                if not right:
                    axes.text(
                        0.5, -0.04, f"as {int(guess) + 1}", transform=axes.transAxes, ha="center", va="top", fontsize=7,
                        color=WRONG,
                    )  # fmt: skip
            row[0].text(
                -0.15,
                0.5,
                str(label + 1),
                transform=row[0].transAxes,
                ha="right",
                va="center",
                fontsize=10,
                weight="bold",
            )


def _show(axes: Axes, image: Tensor) -> None:  # image [C, H, W] uint8
    pixels = image.permute(1, 2, 0).cpu().numpy()
    axes.imshow(pixels if pixels.shape[2] == 3 else pixels.mean(axis=2), cmap="gray", vmin=0, vmax=255)


def _frame(axes: Axes, color: str) -> None:
    axes.set_axis_on()
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color(color)
        spine.set_linewidth(2)
