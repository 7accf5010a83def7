"""``python -m fewshot_sla.plot curves|gain|classes RUN...``: pictures of several runs."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from episodes.errors import UserError
from fewshot_sla.cli import configuration
from fewshot_sla.cli.door import OK, run_door
from fewshot_sla.runs.folder import RunFolder

_USAGE = """usage: python -m fewshot_sla.plot KIND [options]

Pictures of several runs. KIND is one of:
  curves   accuracy and loss against the step, of runs of train or of meta_train
  gain     relative gain of a method over a baseline against the number of training images a class
  classes  accuracy of each class, ordered by its number of training images

python -m fewshot_sla.plot KIND --help tells the options.
"""


def main(arguments: Sequence[str]) -> int:
    """Draw one kind of picture."""
    kind, *rest = arguments or ["--help"]
    if kind in ("-h", "--help"):
        sys.stdout.write(_USAGE)
        return OK
    if kind not in KINDS:
        raise UserError(f"no such kind of plot: {kind!r}; choose from {', '.join(KINDS)}")
    return KINDS[kind](rest)


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
    output = _png(options.output)

    from fewshot_sla.reporting.training_curves import draw_training_curves, read_curves

    curves = read_curves(_folders(options.runs), options.accuracy, options.inference)
    draw_training_curves(output, curves, options.accuracy)
    return _done(output)


def _gain(arguments: Sequence[str]) -> int:
    parser = _parser(
        "gain",
        "Relative gain (accuracy of the method / accuracy of the baseline - 1) against the number n of training images "
        "a class. Runs are paired by n and seed, both as the run folders have them.",
        "gain.png",
    )
    parser.add_argument("--baseline", type=str, nargs="+", required=True, help="Run folders of the baseline.")
    parser.add_argument("--method", type=str, nargs="+", required=True, help="Run folders of what is held against it.")
    parser.add_argument("--split", type=str, default="test", help="Split that all were tested on.")
    parser.add_argument(
        "--inference_a",
        type=str,
        default="",
        help="Inference of the baseline; by default the one that chose its best checkpoint.",
    )
    parser.add_argument(
        "--inference_b", type=str, nargs="+", default=[], help="The same of the method; of several, a line each."
    )
    options = configuration.parse(parser, arguments)
    output = _png(options.output)

    from fewshot_sla.classification.gain_plot import draw_gains, gain_title, read_gains

    baseline, method = _folders(options.baseline), _folders(options.method)
    gains = read_gains(baseline, method, options.split, options.inference_a, options.inference_b)
    draw_gains(output, gains, gain_title(baseline, options.split, options.inference_a))
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
    output = _png(options.output)

    from fewshot_sla.classification.class_plot import draw_class_accuracies, read_class_accuracies

    draw_class_accuracies(output, read_class_accuracies(_folders(options.runs), options.split, options.inference))
    return _done(output)


KINDS: dict[str, Callable[[Sequence[str]], int]] = {"curves": _curves, "gain": _gain, "classes": _classes}


def _parser(kind: str, description: str, output: str) -> configuration.ArgumentParser:
    parser = configuration.build_parser(f"python -m fewshot_sla.plot {kind}", description, config_option=False)
    parser.add_argument("--output", type=str, default=output, help="PNG to write.")
    return parser


def _folders(paths: Sequence[str]) -> list[RunFolder]:
    return [RunFolder(path) for path in paths]


def _png(path: str) -> Path:
    output = Path(path).expanduser()
    if output.suffix.lower() != ".png":
        raise UserError(f"--output {path}: give a file name that ends in .png")
    return output


def _done(output: Path) -> int:
    from fewshot_sla.reporting.formats import show

    show(f"picture: {output}")
    return OK


if __name__ == "__main__":
    sys.exit(run_door(main))
