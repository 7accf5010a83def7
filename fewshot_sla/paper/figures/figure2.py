"""Figure 2 from digits to its files: linear classifiers of pairs of digits, and t-SNE of their pixels."""

import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import torch
from sklearn.datasets import load_digits

from episodes.datasets.base import load_split
from episodes.datasets.readers.mnist import MNIST
from episodes.images.labelled import LabelledImages
from episodes.progress import OnProgress, show_progress
from episodes.transformations import Identity, Rotation, Transformations
from fewshot_sla.paper.figures.digits import WEIGHT_DECAY, PairResult, divide, in_the_plane, run_pair
from fewshot_sla.paper.figures.digits_picture import Panel, draw_digits, error_tables, pair_name
from fewshot_sla.paper.figures.options import ROTATIONS, DigitPairs
from fewshot_sla.paper.figures.output import lines_about, write_numbers
from fewshot_sla.reporting.formats import show
from fewshot_sla.reporting.pictures import picture_path
from fewshot_sla.runs.provenance import device_facts

ALL = ("1", "4", "6", "9")
PAIRS = (("1", "9"), ("4", "9"), ("6", "9"))


def figure2(options: DigitPairs) -> None:
    """Fit, test, print the tables, write picture and numbers.

    Raises:
        UserError: if there are no such images, or too few of a digit; said before anything is computed.
    """
    began = time.monotonic()
    output = picture_path(options.output)
    train, test = _mnist(options.mnist) if options.mnist else (sklearn_digits(), None)
    for digits in (*PAIRS, ALL):
        divide(train, test, digits, options.per_class, seed=0)
    degrees = ROTATIONS[options.rotations]
    with show_progress("figure 2") as on_progress:
        results, panels = _computed(options, train, test, Rotation(degrees), on_progress)
    name = train.name.partition("/")[0]
    of_what = f"{name}, {options.per_class} training images of each digit, {options.seeds} divisions"
    draw_digits(output, panels, results, degrees, f"t-SNE of raw pixels. {of_what}")
    write_numbers(output, "2", _numbers(options, train, test, results, panels), began)
    show(*error_tables(results, of_what), *lines_about(output), form=options.format)


def sklearn_digits() -> LabelledImages:
    """The 1797 handwritten digits that come with scikit-learn, 8x8, with 16 grey levels spread over 0..255."""
    digits = load_digits()
    pixels = torch.from_numpy(digits.images)[:, None]  # 0..16
    return LabelledImages(
        images=(pixels * (255 / 16)).round().to(torch.uint8),
        labels=torch.from_numpy(digits.target).long(),
        class_names=tuple(str(name) for name in digits.target_names),
        name="scikit-learn digits",
    )


def _mnist(root: str) -> tuple[LabelledImages, LabelledImages]:
    source = MNIST(root)
    return load_split(source, "train"), load_split(source, "test")


def _computed(
    options: DigitPairs,
    train: LabelledImages,
    test: LabelledImages | None,
    rotation: Transformations,
    on_progress: OnProgress,
) -> tuple[list[PairResult], list[Panel]]:
    """The results of every pair, and all panels; every division and every panel is a step of the progress."""
    total = len(PAIRS) * options.seeds + len(PAIRS) + 1
    steps = _steps(on_progress, total)
    results, panels = [], [_panel("(a) upright images", train, test, ALL, Identity(), options)]
    next(steps)

    def divided(done: int) -> None:
        next(steps)

    for letter, pair in zip("bcd", PAIRS, strict=True):
        results.append(run_pair(train, test, pair, rotation, options.per_class, options.seeds, divided))
        panels.append(_panel(f"({letter}) rotated {pair_name(pair)}", train, test, pair, rotation, options))
        next(steps)
    return results, panels


def _steps(on_progress: OnProgress, total: int) -> Iterator[None]:
    for done in range(1, total + 1):
        on_progress("divisions and panels", done, total)
        yield


def _panel(
    title: str,
    train: LabelledImages,
    test: LabelledImages | None,
    digits: tuple[str, ...],
    transformations: Transformations,
    options: DigitPairs,
) -> Panel:
    """Test images of the first division with all their views, in one plane."""
    _, (images, labels) = divide(train, test, digits, options.per_class, seed=0)
    first = [torch.nonzero(labels == label).flatten()[: options.drawn] for label in range(len(digits))]
    chosen = torch.cat(first)
    views = transformations(images[chosen])  # [n, V, C, H, W]
    points = in_the_plane(views.flatten(0, 1)).unflatten(0, views.shape[:2])
    return Panel(title, digits, points, labels[chosen])


def _numbers(
    options: DigitPairs,
    train: LabelledImages,
    test: LabelledImages | None,
    results: list[PairResult],
    panels: list[Panel],
) -> dict[str, Any]:
    """Every accuracy of every division, a fraction, every point, and where they come from."""
    return {
        "results": [
            {
                "pair": list(result.pair),
                "tested": tested,
                "method": method,
                "accuracy": result.mean((tested, method)),
                "std": result.deviation((tested, method)),
                "by_seed": list(values),
                "test_images": result.test_images,
            }
            for result in results
            for (tested, method), values in result.by_seed.items()
        ],
        "panels": [
            {
                "title": panel.title,
                "digits": [panel.digits[label] for label in panel.labels.tolist()],
                "points": [[[round(at, 3) for at in point] for point in views] for views in panel.points.tolist()],
            }
            for panel in panels
        ],
        "settings": {**asdict(options), "degrees": list(ROTATIONS[options.rotations]), "weight_decay": WEIGHT_DECAY},
        "data": [
            {"name": images.name, "fingerprint": images.fingerprint, "images": len(images)}
            for images in (train, test)
            if images is not None
        ],
        "device": device_facts(torch.device("cpu"), "64-true", 1),
    }
