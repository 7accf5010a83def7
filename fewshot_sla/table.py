"""``python -m fewshot_sla.table 6``: a table of the paper, what is published beside what was measured here."""

import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from episodes.errors import UserError
from fewshot_sla.cli import configuration
from fewshot_sla.cli.door import INTERRUPTED, OK, USER_ERROR, run_door
from fewshot_sla.paper.published import Cell, PublishedTable, published_table
from fewshot_sla.paper.selection import chosen_cells
from fewshot_sla.reporting.formats import Format
from fewshot_sla.reporting.tables import unique
from fewshot_sla.studies.launchers.base import Launch
from fewshot_sla.studies.launchers.slurm_options import SlurmOptions

if TYPE_CHECKING:
    from fewshot_sla.paper.filling import Filled
    from fewshot_sla.paper.found_runs import FoundRuns


@dataclass
class TableOptions:
    """Which figures, and where ours lie.

    Args:
        folder: where runs are found, FOLDER/RECIPE/seedS, as study makes them.
        seeds: of the trainings that count.
        split: that was tested on.
        share: of each schedule that is trained, above 0 to 1; below 1 the runs are those in FOLDER/share_SHARE.
        workers: with --run: trainings at once; 0 for as many as there are GPUs, else CPU cores, 1 for this process.
        threads: with --run: CPU threads of each training.
        launch: with --run: "here" for processes of this machine, "slurm" for jobs of a cluster, "local" for such jobs
            here.
        slurm: with --launch slurm: what each job asks for.
        tables: YAML file with tables of your own, in the form of fewshot_sla/paper/published.yaml.
        format: how the table is written.
        output: file to write; standard output if none is named.
    """

    folder: str = "runs/tables"
    seeds: list[int] = field(default_factory=lambda: [0, 1, 2])
    split: str = "test"
    share: float = 1.0
    workers: int = 0
    threads: int = 1
    launch: Launch = "here"
    slurm: SlurmOptions = field(default_factory=SlurmOptions)
    tables: str = ""
    format: Format = "terminal"
    output: str = ""

    def __post_init__(self) -> None:
        """Refuse what cannot be trained or shown."""
        if not self.seeds or len(set(self.seeds)) < len(self.seeds) or min(self.seeds) < 0:
            raise UserError(f"seeds must be at least one number from 0 on, each once, got {self.seeds}")
        if not 0 < self.share <= 1:
            raise UserError(f"share must be above 0 and at most 1, got {self.share}")

    @property
    def runs(self) -> Path:
        """The folder with the runs of this share."""
        folder = Path(self.folder).expanduser()
        return folder if self.share == 1 else folder / f"share_{self.share:g}"


@dataclass(frozen=True)
class Asked:
    """A command line that is known to be good.

    Attributes:
        options: of the program.
        table: that was named.
        cells: of it that were asked for.
        behind: options behind ``--``, for every training.
        missing: whether to print what is missing instead.
        run: whether to do what is missing first.
    """

    options: TableOptions
    table: PublishedTable
    cells: list[Cell]
    behind: list[str]
    missing: bool
    run: bool


def main(arguments: Sequence[str]) -> int:
    """Read what is there, train what is asked for, print the table; 2 if something could not be read or done."""
    asked = _asked(arguments)

    # Heavy imports come after the command line is known to be good.
    from fewshot_sla.paper.found_runs import FoundRuns
    from fewshot_sla.training.signals import Interrupted

    found = FoundRuns(asked.options.runs, asked.options.split)
    failed = 0
    problems: list[str] = []
    if asked.missing:
        return _ended([*_show_missing(asked, found), *found.problems])
    if asked.run:
        try:
            failed, problems = _fill(asked, found)
        except Interrupted as interrupted:
            sys.stderr.write(f"{interrupted}; the table itself goes on with the same command\n")
            return INTERRUPTED
        found = FoundRuns(asked.options.runs, asked.options.split)  # what lies there now
    _show_table(asked, found)
    return max(_ended([*problems, *found.problems]), USER_ERROR if failed else OK)


def _asked(arguments: Sequence[str]) -> Asked:
    """The command line, understood.

    Raises:
        UserError: if it is wrong.
    """
    words = list(arguments)
    place = words.index("--") if "--" in words else len(words)
    parser = configuration.build_parser(
        "python -m fewshot_sla.table",
        "A table of the paper: published figures beside those of the runs in a folder, differences, relative gains, "
        "and the share of the published schedule that was trained. With --run, options behind -- go to every "
        "training: -- --accelerator cpu",
        TableOptions,
        config_option=False,
    )
    parser.add_argument("table", type=str, help="1 to 7, metaoptnet, crops, figure2, ...")
    parser.add_argument(
        "--missing",
        action="store_true",
        help="Print the commands that would fill the table, and what they cost, instead of the table.",
    )
    parser.add_argument("--run", action="store_true", help="Train and test what is missing, then print the table.")
    parser.add_argument("--datasets", type=str, nargs="+", default=[], help="Only these: cifarfs, or CIFAR-FS.")
    parser.add_argument("--rows", type=str, nargs="+", default=[], help="Only these: ProtoNet, or protonet_sla.")
    parsed = configuration.parse(parser, configuration.join_lists(words[:place], "--seeds"))
    options: TableOptions = configuration.instantiate(parser, parsed, TableOptions)
    file = [Path(options.tables).expanduser()] if options.tables else []
    table = published_table(parsed.table, *file)
    if parsed.missing and parsed.run:
        raise UserError("--missing only prints what --run would do: give one of them")
    if words[place + 1 :] and not parsed.run:
        raise UserError("options behind -- go to the trainings of --run; give it, or leave them out")
    cells = chosen_cells(table, parsed.datasets, parsed.rows)
    return Asked(options, table, cells, words[place + 1 :], parsed.missing, parsed.run)


def _show_missing(asked: Asked, found: "FoundRuns") -> list[str]:
    """Print what is missing; lines about cells that no training gives."""
    from fewshot_sla.paper.costs import Costs
    from fewshot_sla.paper.missing import commands, costs_table, missing_from
    from fewshot_sla.reporting.formats import show

    options = asked.options
    missing = missing_from(asked.cells, found, options.seeds)
    costs = Costs(Path(options.folder).expanduser())
    lines = commands(missing, found, options.share) or ["nothing is missing that a recipe gives"]
    tables = [costs_table(missing, found, asked.table, costs, options.share)] if missing.trainings else []
    show(*tables, *lines, *missing.quoted, form=options.format, output=options.output)
    return missing.without_recipe


def _fill(asked: Asked, found: "FoundRuns") -> "Filled":
    """Do what is missing; what the trainings print goes to standard error, for the table is what was asked for."""
    from fewshot_sla.paper.filling import fill_table
    from fewshot_sla.paper.missing import missing_from

    options = asked.options
    missing = missing_from(asked.cells, found, options.seeds)
    with redirect_stdout(sys.stderr):
        filled = fill_table(
            missing,
            found,
            options.share,
            asked.behind,
            workers=options.workers,
            threads=options.threads,
            launch=options.launch,
            slurm=options.slurm,
        )
    return filled._replace(problems=[*missing.without_recipe, *filled.problems])


def _show_table(asked: Asked, found: "FoundRuns") -> None:
    from fewshot_sla.paper.layout import for_people, for_programs
    from fewshot_sla.paper.lines import lines_of
    from fewshot_sla.reporting.formats import show

    options = asked.options
    lines = lines_of(asked.cells, asked.table.cells, found, options.seeds)
    if options.format in ("csv", "json"):
        show(for_programs(asked.table, lines, options.split), form=options.format, output=options.output)
    else:
        show(*for_people(asked.table, lines, options.split), form=options.format, output=options.output)


def _ended(problems: Sequence[str]) -> int:
    """The exit code, after a line for each problem."""
    sys.stderr.write("".join(f"error: {' '.join(problem.split())}\n" for problem in unique(problems)))
    return USER_ERROR if problems else OK


if __name__ == "__main__":
    sys.exit(run_door(main))
