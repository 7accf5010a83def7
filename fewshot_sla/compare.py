"""``python -m fewshot_sla.compare BASELINE RUN...``: runs on the same episodes or images, with paired differences."""

import sys
from collections.abc import Sequence
from pathlib import Path

from episodes.errors import UserError
from fewshot_sla.cli import configuration
from fewshot_sla.cli.door import OK, run_door
from fewshot_sla.reporting.formats import Format
from fewshot_sla.runs.folder import RunFolder


def main(arguments: Sequence[str]) -> int:
    """Pair the results of the runs with those of the baseline, print the tables, draw the picture."""
    parser = configuration.build_parser(
        "python -m fewshot_sla.compare",
        "Compare runs with a baseline: meta-learners on the episodes that both were tested on (see meta_test), "
        "classifiers on the images (see test). P-values are corrected by Holm's method for all comparisons made.",
        config_option=False,
    )
    parser.add_argument("baseline", type=str, help="Run folder of the baseline.")
    parser.add_argument("run_folders", type=str, nargs="+", help="Run folders of what is held against it.")
    parser.add_argument("--split", type=str, default="test", help="Split that all were tested on.")
    parser.add_argument(
        "--baseline_inference",
        type=str,
        default="",
        help="Inference of the baseline to compare, single for instance; by default the one that chose its best "
        "checkpoint.",
    )
    parser.add_argument(
        "--inference",
        type=str,
        default="",
        help="The same of the other runs: one for all, or one a run with commas between them.",
    )
    parser.add_argument(
        "--picture",
        type=str,
        default="",
        help="PNG to write; by default comparison.png in the first run folder behind the baseline.",
    )
    parser.add_argument("--format", type=Format, default="terminal", help="How the tables are written.")
    parser.add_argument("--output", type=str, default="", help="File to write the tables to, and not to the terminal.")
    options = configuration.parse(parser, arguments)
    others = options.run_folders
    inferences = _inferences(options.inference, len(others))

    # Heavy imports come after the command line is known to be good.
    from fewshot_sla.reporting.comparison import comparison_tables, warnings_about
    from fewshot_sla.reporting.comparison_picture import draw_comparison
    from fewshot_sla.reporting.formats import show
    from fewshot_sla.studies.comparing import compare_runs

    folders = [RunFolder(path) for path in (options.baseline, *others)]
    comparisons = compare_runs(folders, options.split, [options.baseline_inference, *inferences])
    drawn = Path(options.picture).expanduser() if options.picture else folders[1].path / "comparison.png"
    form = options["format"]
    show(*comparison_tables(comparisons, form), *warnings_about(comparisons), form=form, output=options.output)
    draw_comparison(drawn, comparisons)  # after the tables, which must not be lost where it cannot be written
    sys.stderr.write(f"picture: {drawn}\n")
    return OK


def _inferences(words: str, runs: int) -> list[str]:
    """The inference of each run, from one name or as many as there are runs."""
    names = [name.strip() for name in words.split(",")]
    if len(names) not in (1, runs):
        raise UserError(
            f"--inference: {len(names)} names for {runs} run{'s' if runs > 1 else ''}; give one for all, or one a run"
        )
    return names if len(names) == runs else names * runs


if __name__ == "__main__":
    sys.exit(run_door(main))
