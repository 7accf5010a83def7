"""``python -m fewshot_sla.figure 2|3|4|views``: the figures of the paper, each as a picture with its numbers."""

import importlib.util
import sys
from collections.abc import Callable, Sequence

from episodes.errors import UserError
from fewshot_sla.cli import configuration
from fewshot_sla.cli.door import OK, chosen, run_door
from fewshot_sla.paper.figures.options import DigitPairs, LimitedData, SnapshotCurves, ViewBudgets
from fewshot_sla.training.recipe import Hardware

_USAGE = """usage: python -m fewshot_sla.figure KIND [options]

The figures of the paper. KIND is one of:
  2      t-SNE and linear classifiers of the digits 1, 4, 6, 9 and their rotations
  3      training and test accuracy of several runs of train against the step, from snapshots of their weights
  4      relative gain over the baseline against the number of training images a class, from runs of train
  views  relative gain against the number of views that are aggregated, from one run of train or of meta_train

Each writes a picture (--output, .png, .svg or .pdf), beside it a JSON with all its numbers, and prints a table
(--format). python -m fewshot_sla.figure KIND --help tells the options.
"""


def main(arguments: Sequence[str]) -> int:
    """Draw one figure."""
    return chosen("figure", KINDS, _USAGE, arguments)


def _figure2(arguments: Sequence[str]) -> int:
    parser = _parser(
        "2",
        "Tell two digits apart with linear classifiers of their pixels, with and without a label for each rotation: "
        "the pairs {1, 9}, {4, 9} and {6, 9} of section 3.2 of the paper. Turned, a 6 looks like a 9.",
        DigitPairs,
    )
    options: DigitPairs = configuration.instantiate(parser, configuration.parse(parser, arguments), DigitPairs)
    if importlib.util.find_spec("sklearn") is None:
        raise UserError("figure 2 needs scikit-learn: pip install scikit-learn")

    from fewshot_sla.paper.figures.figure2 import figure2  # heavy imports come after the command line is known

    figure2(options)
    return OK


def _figure3(arguments: Sequence[str]) -> int:
    parser = _parser(
        "3",
        "Training and test accuracy of classifiers among the classes, on images as they are, against the step. The "
        "runs need snapshots: train with --loop.snapshot_every N. What is computed is kept in the run folders.",
        SnapshotCurves,
        Hardware,
    )
    parser.add_argument("runs", type=str, nargs="+", help="Run folders of train, for instance of DA, MT and SLA.")
    parser.add_argument(
        "--inference",
        type=str,
        nargs="+",
        default=["single"],
        help="Inferences to draw, a line each: single, aggregated, distilled; all are computed.",
    )
    options = configuration.parse(parser, arguments)
    drawn: SnapshotCurves = configuration.instantiate(parser, options, SnapshotCurves)
    hardware = _hardware(parser, options)

    from fewshot_sla.paper.figures.figure3 import figure3

    figure3(options.runs, options.inference, drawn, hardware)
    return OK


def _figure4(arguments: Sequence[str]) -> int:
    parser = _parser(
        "4",
        "Relative gain (accuracy / accuracy of the baseline - 1) against the number n of training images a class. "
        "Which run is of which objective, n and seed stands in the run folders; runs are paired by n and seed.",
        LimitedData,
    )
    parser.add_argument("runs", type=str, nargs="+", help="Run folders of train, or folders that hold them (a study).")
    options = configuration.parse(parser, arguments)
    limited: LimitedData = configuration.instantiate(parser, options, LimitedData)

    from fewshot_sla.paper.figures.figure4 import figure4

    figure4(options.runs, limited)
    return OK


def _views(arguments: Sequence[str]) -> int:
    parser = _parser(
        "views",
        "Relative gain of a trained model when it aggregates 1, 2, ..., M of its views: the mean over the subsets of "
        "each size that hold the image itself, and the first m.",
        ViewBudgets,
        Hardware,
    )
    parser.add_argument("run", type=str, help="Run folder of train or of meta_train.")
    options = configuration.parse(parser, configuration.join_lists(arguments, "--k_shot"))
    budgets: ViewBudgets = configuration.instantiate(parser, options, ViewBudgets)
    hardware = _hardware(parser, options)

    from fewshot_sla.paper.figures.figure_views import figure_views

    figure_views(options.run, budgets, hardware)
    return OK


KINDS: dict[str, Callable[[Sequence[str]], int]] = {"2": _figure2, "3": _figure3, "4": _figure4, "views": _views}


def _parser(kind: str, description: str, *groups: type) -> configuration.ComposingParser:
    return configuration.build_parser(f"python -m fewshot_sla.figure {kind}", description, *groups, config_option=False)


def _hardware(parser: configuration.ComposingParser, options: configuration.Namespace) -> Hardware:
    hardware: Hardware = configuration.instantiate(parser, options, Hardware)
    if hardware.devices > 1 or hardware.num_nodes > 1:
        raise UserError("a figure is made by one process: leave out --devices and --num_nodes")
    return hardware


if __name__ == "__main__":
    sys.exit(run_door(main))
