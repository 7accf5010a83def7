"""``python -m fewshot_sla.unknown RUN_FOLDER --against ...``: whether a classifier notices images of other classes."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from episodes.errors import UserError
from fewshot_sla.classification.kind import CLASSIFICATION
from fewshot_sla.cli import configuration
from fewshot_sla.cli.door import OK, run_door
from fewshot_sla.meta.kind import META
from fewshot_sla.reporting.formats import Format
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.training.recipe import Hardware
from fewshot_sla.training.trained import load_trained

if TYPE_CHECKING:
    from fewshot_sla.classification.unknown.measuring import Measured
    from fewshot_sla.classification.unknown.results import UnknownResult
    from fewshot_sla.reporting.tables import Table


def main(arguments: Sequence[str]) -> int:
    """Load the runs, score known and unknown images, write unknown.json of each, print a table a data set."""
    parser = configuration.build_parser(
        "python -m fewshot_sla.unknown",
        "Tell how well a trained classifier notices images of classes that it was not trained on: scores of its own "
        "test images are held against those of other data sets. docs/unknown.md explains scores and figures.",
        Hardware,
        config_option=False,
    )
    parser.add_argument("run_folders", type=str, nargs="+", help="Run folders of train.")
    parser.add_argument(
        "--against",
        type=str,
        nargs="+",
        required=True,
        metavar="SET",
        help="Data sets with the unknown images: mnist=PATH, svhn=PATH, cifar100=PATH, lsun=FOLDER, imagenet=FOLDER, "
        "others (the names of python -m episodes.datasets verify), a folder of pictures, digits or glyphs (which need "
        "no files), a class path, package.module.Class=ROOT, or a YAML file with a list of all these.",
    )
    parser.add_argument("--split", type=str, default="test", help="Split of the run's own data with the known images.")
    parser.add_argument(
        "--inference", type=str, nargs="+", default=[], metavar="NAME", help="By default all that the run has."
    )
    parser.add_argument(
        "--scores",
        type=str,
        nargs="+",
        default=[],
        metavar="NAME",
        help="Those to show and to draw: probability, logit, energy, agreement; by default all. All are kept.",
    )
    parser.add_argument("--format", type=Format, default="terminal", help="How the tables are written.")
    parser.add_argument("--output", type=str, default="", help="File to write the tables to, and not to the terminal.")
    options = configuration.parse(parser, arguments)
    hardware: Hardware = configuration.instantiate(parser, options, Hardware)
    if hardware.devices > 1 or hardware.num_nodes > 1:
        raise UserError("unknown images are scored by one process: leave out --devices and --num_nodes")
    folders = [RunFolder(path) for path in options.run_folders]
    for folder in folders:
        check_no_episodes(folder)

    # Heavy imports come after the command line is known to be good.
    from fewshot_sla.classification.unknown.measuring import Asked, measure
    from fewshot_sla.classification.unknown.sets import unknown_sets
    from fewshot_sla.classification.unknown.tables import accuracies_in_words, table_for_programs
    from fewshot_sla.reporting.formats import show
    from fewshot_sla.reporting.tables import unique
    from fewshot_sla.runs.names import distinct_names

    names = distinct_names(folders) if len(folders) > 1 else [str(folders[0].path)]
    asked = Asked(options.split, options.inference, options.scores)
    runs = [load_trained(CLASSIFICATION, folder) for folder in folders]
    sets = [unknown_sets(options.against, run.image_shape) for run in runs]
    fabric = hardware.fabric()
    tables: list[Table] = []
    lines: list[str] = []
    found: list[tuple[str, list[UnknownResult]]] = []
    for name, run, sources in zip(names, runs, sets, strict=True):
        measured = measure(run, sources, asked, hardware, fabric)
        tables += [_table(name, each) for each in measured]
        found += [(name, each.results) for each in measured]
        lines.append(accuracies_in_words(name, measured[0].results))
        lines.append(f"written: {run.folder.unknown}, and scores and pictures in {run.folder.path / 'unknown'}")
    if options["format"] in ("csv", "json"):
        tables = [table_for_programs(found, unique(note for table in tables for note in table.notes))]
    show(*tables, *lines, form=options["format"], output=options.output)
    return OK


def check_no_episodes(folder: RunFolder) -> None:
    """Raise UserError if a run is a few-shot run, which knows no classes but those of the episode it is shown."""
    from fewshot_sla.runs.checkpoint import load_state

    folder.require()
    if load_state(folder.checkpoint).get("program") == META.program:
        raise UserError(
            f"{folder.path}: a few-shot run knows no classes but those of each episode; for queries of other classes "
            f"run python -m fewshot_sla.{META.tester} {folder.path} --unknown_ways 5"
        )


def _table(run: str, measured: "Measured") -> "Table":
    from fewshot_sla.classification.unknown.tables import unknown_table
    from fewshot_sla.paper.unknown_classes import leaderboard_note

    first = measured.results[0]
    published = leaderboard_note(first.dataset, first.against)
    return unknown_table(run, measured.results, [*measured.notes, *([published] if published else [])])


if __name__ == "__main__":
    sys.exit(run_door(main))
