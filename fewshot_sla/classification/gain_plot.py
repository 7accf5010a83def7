"""The relative gain of a method over a baseline against the number of training images a class."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import yaml
from matplotlib.ticker import FixedLocator, NullLocator

from episodes.errors import UserError
from fewshot_sla.classification.results import ClassificationResult
from fewshot_sla.classification.trained_runs import result_of, trained_on
from fewshot_sla.inference import inference_title
from fewshot_sla.reporting.pictures import COLORS, picture
from fewshot_sla.runs.folder import RunFolder

_APART = 0.12  # how far lines are moved aside, as a share of the least distance between two n


class Gains(NamedTuple):
    """Relative gains of a method by one inference."""

    inference: str  # of the method
    gains: dict[int, tuple[float, ...]]  # for each n, in order, one a seed: accuracy / accuracy of the baseline - 1


def read_gains(
    baseline: Sequence[RunFolder],
    method: Sequence[RunFolder],
    split: str,
    inference_a: str = "",  # of the baseline; by default the primary one
    inferences_b: Sequence[str] = (),  # of the method; by default the primary one
) -> list[Gains]:
    """Pair the runs by the number n of training images a class and by their seed.

    Raises:
        UserError: if a run has no such result, its classes are not of one size, or it has no partner that was tested on
            the same images.
    """
    before = _by_size_and_seed(baseline, "baseline", split, inference_a)
    found = []
    for inference in inferences_b or ("",):
        after = _by_size_and_seed(method, "method", split, inference)
        for key, (folder, _) in (before | after).items():
            if key not in before or key not in after:
                lacking = "method" if key in before else "baseline"
                raise UserError(
                    f"{folder.path}: there is no {lacking} run with {key[0]} training images a class and seed {key[1]}"
                )
        gains: dict[int, tuple[float, ...]] = {}
        for key in sorted(before):
            gains[key[0]] = (*gains.get(key[0], ()), _gain(before[key], after[key]))
        name = next(iter(after.values()))[1].inference
        found.append(Gains(name, gains))
    return found


def gain_title(baseline: Sequence[RunFolder], split: str, inference: str = "") -> str:
    """What the gain is over, and on which images."""
    results = [result_of(folder, split, inference) for folder in baseline]
    datasets = ", ".join(dict.fromkeys(f"{result.dataset}/{result.split}" for result in results))
    name = inference_title(results[0].inference)
    return f"gain over the baseline, {name}\n{_cut(datasets)}"


def draw_gains(path: Path, found: Sequence[Gains], title: str) -> None:
    """Mean and standard deviation over the seeds, and every seed as a point; n on a logarithmic axis."""
    with picture(path, 6.4, 4.2) as figure:
        axes = figure.subplots()
        sizes = list(found[0].gains)
        steps = np.diff(np.log(sizes))
        beside = _APART * float(steps.min()) if len(steps) else 0.02
        for number, line in enumerate(found):
            color = COLORS[number % len(COLORS)]
            aside = np.exp(beside * (number - (len(found) - 1) / 2))
            places = [size * aside for size in sizes]
            values = [100 * np.array(line.gains[size]) for size in sizes]
            for place, points in zip(places, values, strict=True):
                axes.plot([place] * len(points), points, "o", color=color, alpha=0.35, markersize=4)
            means = [float(points.mean()) for points in values]
            spreads = [float(points.std(ddof=1)) if len(points) > 1 else 0.0 for points in values]
            name = inference_title(line.inference)
            axes.errorbar(places, means, spreads, color=color, marker="s", markersize=5, capsize=3, label=name)
        axes.axhline(0, color="black", linewidth=0.8)
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(FixedLocator(sizes))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xticklabels([str(size) for size in sizes])
        axes.set_xlim(sizes[0] / 1.3, sizes[-1] * 1.3)  # also if there is a single size
        axes.set_xlabel("training images a class")
        axes.set_ylabel("relative gain, %")
        axes.set_title(title, fontsize=11)
        axes.grid(alpha=0.3)
        axes.legend()


def _by_size_and_seed(
    folders: Sequence[RunFolder], what: str, split: str, inference: str
) -> dict[tuple[int, int], tuple[RunFolder, ClassificationResult]]:
    found: dict[tuple[int, int], tuple[RunFolder, ClassificationResult]] = {}
    for folder in folders:
        counts = trained_on(folder).class_counts
        if len(set(counts)) > 1:
            raise UserError(
                f"{folder.path}: its classes have {min(counts)} to {max(counts)} training images; "
                "this plot needs as many of every class"
            )
        key = counts[0], _seed(folder)
        if key in found:
            raise UserError(
                f"{folder.path}: another {what} run has {key[0]} training images a class and seed {key[1]} too "
                f"({found[key][0].path}); leave one out"
            )
        found[key] = folder, result_of(folder, split, inference)
    return dict(sorted(found.items()))


def _seed(folder: RunFolder) -> int:
    try:
        described: Mapping = yaml.safe_load(folder.config.read_text())
        return int(described["seed"])
    except (yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{folder.config}: the seed of the run cannot be read ({error})") from error


def _gain(before: tuple[RunFolder, ClassificationResult], after: tuple[RunFolder, ClassificationResult]) -> float:
    (folder_a, a), (folder_b, b) = before, after
    if a.fingerprint != b.fingerprint:
        raise UserError(
            f"{folder_a.path} and {folder_b.path} were tested on different images ({a.dataset} and {b.dataset}); "
            "a gain needs the same"
        )
    if not a.accuracy:
        raise UserError(f"{folder_a.path}: its accuracy is 0, so that nothing can be said of a relative gain")
    return b.accuracy / a.accuracy - 1


def _cut(text: str) -> str:
    return text if len(text) <= 90 else f"{text[:89]}…"
