"""``python -m fewshot_sla.toy``: two digits, a half turn, linear classifiers, with and without joint labels."""

import importlib.metadata
import importlib.util
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from episodes.errors import UserError
from fewshot_sla.cli import configuration
from fewshot_sla.cli.door import OK, run_door

if TYPE_CHECKING:
    from episodes.images.labelled import LabelledImages
    from fewshot_sla.paper.toy_experiment import ToyResult
    from fewshot_sla.paper.toy_picture import Plane

PAIRS = (("1", "9"), ("4", "9"), ("6", "9"))
_MOST_DRAWN = 120  # images of each digit in the picture
_NOTE = (
    "± is one standard deviation over the divisions. A linear MT shares no weights between its tasks, so its class is "
    "DA's. See docs/toy.md."
)


@dataclass
class Toy:
    """What to run.

    Args:
        output: folder that toy.json and toy.png go to.
        mnist: file or folder with MNIST; empty for the 8x8 digits that come with scikit-learn.
        seeds: random divisions into training and test images; the table shows mean and standard deviation over them.
        per_class: training images of each digit.
    """

    output: str = "runs/toy"
    mnist: str = ""
    seeds: int = 10
    per_class: int = 20

    def __post_init__(self) -> None:
        """Refuse counts that cannot be counted to, and a folder without a name."""
        for name in ("seeds", "per_class"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not self.output.strip():
            raise UserError("the folder to write to needs a name; give --output")


def main(arguments: Sequence[str]) -> int:
    """Fit, test, print the table, write toy.json and toy.png."""
    parser = configuration.build_parser(
        "python -m fewshot_sla.toy",
        "Tell two digits apart with linear classifiers of their pixels, the half turn being the second transformation: "
        "the pairs {1, 9}, {4, 9} and {6, 9} of section 3.2 of the paper. Turned, a 6 looks like a 9.",
        Toy,
        config_option=False,
    )
    toy: Toy = configuration.instantiate(parser, configuration.parse(parser, arguments), Toy)
    if importlib.util.find_spec("sklearn") is None:
        raise UserError("the toy experiment needs scikit-learn: pip install scikit-learn")

    # Heavy imports come after the command line is known to be good.
    from episodes.progress import show_progress
    from episodes.transformations import Rotation
    from fewshot_sla.paper.toy_experiment import divide, run_pair
    from fewshot_sla.paper.toy_picture import draw_toy, pair_name, toy_table
    from fewshot_sla.reporting.formats import show
    from fewshot_sla.runs.records import write_json

    began = time.monotonic()
    train, test = _mnist(toy.mnist) if toy.mnist else (sklearn_digits(), None)
    for pair in PAIRS:
        divide(train, test, pair, toy.per_class, seed=0)  # what cannot be divided is said before anything is computed
    folder = Path(toy.output).expanduser()
    folder.mkdir(parents=True, exist_ok=True)

    half_turn = Rotation((0, 180))
    results, planes = [], []
    total = len(PAIRS) * (toy.seeds + 1)  # the picture of a pair counts as much as a division
    with show_progress("toy") as on_progress:
        for number, pair in enumerate(PAIRS):

            def report(done: int, before: int = number * (toy.seeds + 1), pair: tuple[str, str] = pair) -> None:
                on_progress(pair_name(pair), before + done, total)

            results.append(run_pair(train, test, pair, half_turn, toy.per_class, toy.seeds, report))
            planes.append(_plane(train, test, pair, toy.per_class))
            report(toy.seeds + 1)
    what = f"{train.name.partition('/')[0]}, {toy.per_class} training images of each digit, {toy.seeds} divisions"
    draw_toy(
        folder / "toy.png",
        results,
        planes,
        f"t-SNE of digits and of the same turned by 180°; test accuracy in %: {what}",
    )
    document = _document(toy, train, test, results, time.monotonic() - began)
    write_json(folder / "toy.json", document)
    show(toy_table(results, f"test accuracy, %: {what}"), _NOTE, f"picture: {folder / 'toy.png'}")
    return OK


def sklearn_digits() -> "LabelledImages":
    """The 1797 handwritten digits that come with scikit-learn, 8x8, with 16 grey levels spread over 0..255."""
    import torch
    from sklearn.datasets import load_digits

    from episodes.images.labelled import LabelledImages

    digits = load_digits()
    pixels = torch.from_numpy(digits.images)[:, None]  # 0..16
    return LabelledImages(
        images=(pixels * (255 / 16)).round().to(torch.uint8),
        labels=torch.from_numpy(digits.target).long(),
        class_names=tuple(str(name) for name in digits.target_names),
        name="scikit-learn digits",
    )


def _mnist(root: str) -> "tuple[LabelledImages, LabelledImages]":
    from episodes.datasets.base import load_split
    from episodes.datasets.readers.mnist import MNIST

    source = MNIST(root)
    return load_split(source, "train"), load_split(source, "test")


def _plane(train: "LabelledImages", test: "LabelledImages | None", pair: tuple[str, str], per_class: int) -> "Plane":
    """Test images of the first division, and the same turned, in one plane."""
    import torch

    from episodes.transformations import Rotation
    from fewshot_sla.paper.toy_experiment import divide, in_the_plane
    from fewshot_sla.paper.toy_picture import Plane

    _, (images, labels) = divide(train, test, pair, per_class, seed=0)
    chosen = torch.cat([torch.nonzero(labels == label).flatten()[:_MOST_DRAWN] for label in range(len(pair))])
    views = Rotation((0, 180))(images[chosen])  # [n, 2, C, H, W]
    return Plane(in_the_plane(views.flatten(0, 1)).unflatten(0, views.shape[:2]), labels[chosen])


def _document(
    toy: Toy,
    train: "LabelledImages",
    test: "LabelledImages | None",
    results: "Sequence[ToyResult]",
    seconds: float,
) -> dict[str, Any]:
    """toy.json: every figure, and where it comes from; accuracies are fractions."""
    import torch

    from fewshot_sla.paper.toy_experiment import WEIGHT_DECAY
    from fewshot_sla.runs.provenance import device_facts, versions

    def entry(result: "ToyResult", method: str) -> dict[str, Any]:
        return {
            "pair": list(result.pair),
            "method": method,
            "accuracy": result.mean(method),
            "std": result.deviation(method),
            "by_seed": list(result.by_seed[method]),
            "test_images": result.test_images,
        }

    return {
        "results": [entry(result, method) for result in results for method in result.by_seed],
        "settings": {**asdict(toy), "transformations": ["identity", "rotate180"], "weight_decay": WEIGHT_DECAY},
        "data": [
            {"name": images.name, "fingerprint": images.fingerprint, "images": len(images)}
            for images in (train, test)
            if images is not None
        ],
        "versions": {**versions(), "scikit-learn": importlib.metadata.version("scikit-learn")},
        "device": device_facts(torch.device("cpu"), "64-true", 1),
        "wall_time_s": {"toy": seconds},
    }


if __name__ == "__main__":
    sys.exit(run_door(main))
