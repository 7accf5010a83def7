"""The scores of known and unknown images as histograms, one panel a score."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from fewshot_sla.classification.unknown.results import UnknownResult
from fewshot_sla.classification.unknown.scoring import Scored
from fewshot_sla.inference import inference_title
from fewshot_sla.inference.scores import SCORES
from fewshot_sla.reporting.pictures import COLORS, picture
from fewshot_sla.reporting.tables import percent

KNOWN, UNKNOWN = COLORS[0], COLORS[1]
BINS = 50
_ENDS = 0.1  # per cent of the scores on each side that may lie beyond the picture, and are drawn in its last bins


def draw_histograms(
    path: Path,
    results: Sequence[UnknownResult],  # of one data set and one inference, one a score
    known: Scored,
    unknown: Scored,
) -> None:
    """Density of each score among the known and among the unknown images, in common bins.

    Args:
        path: PNG to write.
        results: what to draw, with the figures that stand above each panel.
        known: what the inference says of the known images.
        unknown: the same of the others.
    """
    first = results[0]
    columns = 2 if len(results) == 4 else min(3, len(results))
    rows = -(-len(results) // columns)
    with picture(path, 4.6 * columns, 0.9 + 2.6 * rows) as figure:
        figure.suptitle(f"{first.dataset}/{first.split} against {first.against}, {inference_title(first.inference)}")
        panels = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes, result in zip(panels, results, strict=False):
            _draw(axes, {"known": known.scores[result.score], "unknown": unknown.scores[result.score]})
            axes.set_title(f"AUROC {percent(result.auroc)} %, FPR95 {percent(result.fpr95)} %", fontsize=9, loc="left")
            axes.set_xlabel(SCORES[result.score].title)
        for axes in panels[len(results) :]:
            axes.remove()
        figure.axes[0].legend(fontsize=8)


def _draw(axes: Axes, scores: Mapping[str, object]) -> None:
    values: dict[str, NDArray[np.float64]] = {name: np.asarray(each) for name, each in scores.items()}
    edges = common_bins(values["known"], values["unknown"])
    for (name, each), color in zip(values.items(), (KNOWN, UNKNOWN), strict=True):
        inside = each.clip(edges[0], edges[-1])
        axes.hist(
            inside,
            bins=list(edges),
            density=True,
            histtype="stepfilled",
            color=color,
            alpha=0.55,
            label=f"{name} ({len(each):,})",
        )
    axes.set_yticks([])
    axes.grid(axis="x", alpha=0.3)


def common_bins(
    known: NDArray[np.float64],  # [n]
    unknown: NDArray[np.float64],  # [m]
) -> NDArray[np.float64]:  # [BINS + 1], rising
    """Edges of bins over nearly all scores of both; a few far away are not to squeeze the others into one bin."""
    ends = [np.percentile(each, [_ENDS, 100 - _ENDS]) for each in (known, unknown)]
    low, high = min(end[0] for end in ends), max(end[1] for end in ends)
    if high - low <= 1e-9 * max(abs(low), abs(high), 1):  # all alike
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, BINS + 1)
