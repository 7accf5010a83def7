"""The accuracy of every class, ordered by how many training images it has: what a long tail does to its end."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from episodes.errors import UserError
from fewshot_sla.classification.results import GROUPS, group_accuracies
from fewshot_sla.classification.trained_runs import result_of, trained_on
from fewshot_sla.inference import inference_title
from fewshot_sla.reporting.pictures import COLORS, picture
from fewshot_sla.reporting.training_curves import STYLES
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.runs.names import distinct_names

_NAMED = 20  # classes up to which each is named
_TOP = 110  # end of the axis: above 100 % stand the names of the groups
_SHADES = ("#e8e8e8", "#f6f6f6", "#e8e8e8")


class ClassAccuracies(NamedTuple):
    """Accuracies of several runs on the same classes, those with most training images first."""

    dataset: str
    class_names: tuple[str, ...]
    class_counts: NDArray[np.int64]  # [N], falling
    runs: dict[str, NDArray[np.float64]]  # of each run, by its name: [N] fractions


def read_class_accuracies(folders: Sequence[RunFolder], split: str, inference: str = "") -> ClassAccuracies:
    """Accuracies of the runs by one inference, by default the primary one of each.

    Raises:
        UserError: if a run has no such result, or not the same classes, training images or test images as the first.
    """
    first = trained_on(folders[0])
    order = np.argsort(-np.asarray(first.class_counts), kind="stable")
    runs, images = {}, ""
    for folder, name in zip(folders, distinct_names(folders), strict=True):
        trained, result = trained_on(folder), result_of(folder, split, inference)
        if trained.class_names != first.class_names or trained.class_counts != first.class_counts:
            raise UserError(
                f"{folder.path} has other classes, or other numbers of training images, than {folders[0].path}; "
                "this plot needs the same"
            )
        images = images or result.fingerprint
        if result.fingerprint != images:
            raise UserError(
                f"{folder.path} was tested on other images than {folders[0].path}; this plot needs the same"
            )
        dataset = f"{result.dataset}/{result.split}"
        runs[f"{name}, {inference_title(result.inference)}"] = np.asarray(result.per_class)[order]
    names = tuple(first.class_names[place] for place in order)
    return ClassAccuracies(dataset, names, np.asarray(first.class_counts)[order], runs)


def smoothed(
    values: NDArray[np.float64],  # [N]
    width: float,  # standard deviation of the weights, in classes
) -> NDArray[np.float64]:  # [N]
    """The mean of all values, those nearby having most weight: a Gaussian, cut off where the classes end."""
    weights = np.exp(-0.5 * (np.arange(1 - len(values), len(values)) / width) ** 2)  # by distance
    return np.convolve(weights, values, "valid") / np.convolve(weights, np.ones_like(values), "valid")


def draw_class_accuracies(path: Path, found: ClassAccuracies) -> None:
    """A point a class and run.

    Where the classes are not of one size, a smoothed line a run too, above them the numbers of training images, and the
    groups of classes with many, medium and few of them shaded.
    """
    classes, uneven = len(found.class_counts), found.class_counts[0] > found.class_counts[-1]
    lowest = min(float(values.min()) for values in found.runs.values())
    with picture(path, 10, (5.2 if uneven else 4.2) + 0.24 * len(found.runs)) as figure:
        panels = figure.subplots(1 + uneven, 1, sharex=True, squeeze=False, height_ratios=(1, 4)[-1 - uneven :])
        axes = panels[-1, 0]
        if uneven:
            _draw_counts(panels[0, 0], found.class_counts)
            _shade_groups(axes, found.class_counts)
        order = ", those with most training images first" if uneven else ""
        panels[0, 0].set_title(f"{found.dataset}: accuracy of each class{order}", fontsize=11)
        for number, (name, values) in enumerate(found.runs.items()):
            color, style = COLORS[number % len(COLORS)], STYLES[number // len(COLORS) % len(STYLES)]
            aside = 0.5 * ((number + 0.5) / len(found.runs) - 0.5)  # equal points stand beside one another
            size = 6 if classes <= _NAMED else 3.5
            label = _label(name, values, found.class_counts)
            points = {"color": color, "markersize": size, "markeredgewidth": 0, "alpha": 0.5 if uneven else 0.9}
            axes.plot(np.arange(classes) + aside, 100 * values, "o", **points, label="" if uneven else label)
            if uneven:
                line = smoothed(values, max(0.8, classes / 25))
                axes.plot(100 * line, color=color, linestyle=style, linewidth=2, label=label)
        axes.set_xlim(-0.6, classes - 0.4)
        axes.set_ylim(max(-3, 100 * lowest - 8), _TOP if uneven else 103)
        axes.set_yticks([tick for tick in range(0, 101, 10) if tick >= 100 * lowest - 8])
        axes.set_ylabel("accuracy, %")
        axes.grid(axis="y", alpha=0.4)
        if classes <= _NAMED:
            axes.set_xticks(range(classes), [_short(name) for name in found.class_names], rotation=40, ha="right")
        else:
            axes.set_xlabel("class, by falling number of training images" if uneven else "class")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=1, fontsize=9)


def _draw_counts(axes: Axes, counts: NDArray[np.int64]) -> None:
    if len(counts) <= _NAMED:
        axes.bar(np.arange(len(counts)), counts, width=0.9, color="#888888")
    else:  # one shape, for thousands of bars take long to draw
        axes.stairs(counts, np.arange(len(counts) + 1) - 0.5, fill=True, color="#888888")
    axes.set_ylabel("training\nimages")


def _shade_groups(axes: Axes, counts: NDArray[np.int64]) -> None:
    """Where the classes with many, medium and few training images stand."""
    for (name, (low, high)), shade in zip(GROUPS.items(), _SHADES, strict=True):
        places = np.flatnonzero((low <= counts) & (counts <= high))
        if len(places):
            axes.axvspan(places[0] - 0.5, places[-1] + 0.5, color=shade, zorder=0)
            axes.text(places.mean(), _TOP - 1.5, name, ha="center", va="top", fontsize=9, color="#444444")


def _label(
    name: str,
    values: NDArray[np.float64],  # [N]
    counts: NDArray[np.int64],  # [N]
) -> str:
    """Name of the run, the mean over the classes, and over those of each group."""
    groups = group_accuracies(values, counts)
    shown = "".join(f", {group.partition(' ')[0]} {100 * value:.1f}" for group, value in groups.items())
    return f"{name}: mean {100 * values.mean():.1f}{shown}"


def _short(name: str) -> str:
    return name if len(name) <= 18 else f"{name[:17]}…"
