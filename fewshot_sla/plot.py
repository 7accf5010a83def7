"""``python -m fewshot_sla.plot curves|classes RUN...``: pictures of several runs."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from episodes.errors import UserError
from fewshot_sla.cli import configuration
from fewshot_sla.cli.door import OK, chosen, run_door
from fewshot_sla.runs.folder import RunFolder

_USAGE = """usage: python -m fewshot_sla.plot KIND [options]

Pictures of several runs. KIND is one of:
  curves   accuracy and loss against the step, of runs of train or of meta_train
  classes  accuracy of each class, ordered by its number of training images

The figures of the paper are made by python -m fewshot_sla.figure.
python -m fewshot_sla.plot KIND --help tells the options.
"""


def main(arguments: Sequence[str]) -> int:
    """Draw one kind of picture."""
    return chosen("kind of plot", KINDS, _USAGE, arguments)


def _curves(arguments: Sequence[str]) -> int:
    parser = _parser("curves", "Accuracy and training loss of several runs against the step.", "curves.png")
    parser.add_argument("runs", type=str, nargs="+", help="Run folders of train or meta_train.")
    parser.add_argument(
        "--accuracy",
        type=str,
        default="validation",
        help="validation, or training: the share of right answers among the labels trained on.",
    )
    parser.add_argument(
        "--inference",
        type=str,
        default="",
        help="Inference that is validated; by default the one that chose the best checkpoint of each run.",
    )
    options = configuration.parse(parser, arguments)
    if options.accuracy not in ("validation", "training"):
        raise UserError(f"--accuracy must be validation or training, got {options.accuracy!r}")

    from fewshot_sla.reporting.pictures import picture_path
    from fewshot_sla.reporting.training_curves import draw_training_curves, read_curves

    output = picture_path(options.output)
    curves = read_curves(_folders(options.runs), options.accuracy, options.inference)
    draw_training_curves(output, curves, options.accuracy)
    return _done(output)


def _classes(arguments: Sequence[str]) -> int:
    parser = _parser(
        "classes", "Accuracy of each class, those with most training images first; for long tails.", "classes.png"
    )
    parser.add_argument("runs", type=str, nargs="+", help="Run folders of train, tested on the same images.")
    parser.add_argument("--split", type=str, default="test", help="Split that all were tested on.")
    parser.add_argument(
        "--inference",
        type=str,
        default="",
        help="One inference for all; by default the one that chose the best checkpoint of each run.",
    )
    options = configuration.parse(parser, arguments)

    from fewshot_sla.classification.class_plot import draw_class_accuracies, read_class_accuracies
    from fewshot_sla.reporting.pictures import picture_path

    output = picture_path(options.output)
    draw_class_accuracies(output, read_class_accuracies(_folders(options.runs), options.split, options.inference))
    return _done(output)


KINDS: dict[str, Callable[[Sequence[str]], int]] = {"curves": _curves, "classes": _classes}


def _parser(kind: str, description: str, output: str) -> configuration.ArgumentParser:
    parser = configuration.build_parser(f"python -m fewshot_sla.plot {kind}", description, config_option=False)
    parser.add_argument("--output", type=str, default=output, help="Picture to write, .png, .svg or .pdf.")
    return parser


def _folders(paths: Sequence[str]) -> list[RunFolder]:
    return [RunFolder(path) for path in paths]


def _done(output: Path) -> int:
    from fewshot_sla.reporting.formats import show

    show(f"picture: {output}")
    return OK


if __name__ == "__main__":
    sys.exit(run_door(main))
