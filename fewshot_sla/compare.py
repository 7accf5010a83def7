"""``python -m fewshot_sla.compare RUN_A RUN_B``: two runs on the same episodes, with the paired difference."""

import sys
from collections.abc import Sequence

from fewshot_sla.cli import configuration
from fewshot_sla.cli.door import OK, run_door
from fewshot_sla.runs.folder import RunFolder


def main(arguments: Sequence[str]) -> int:
    """Pair the results of two runs, print the table, write the picture."""
    parser = configuration.build_parser(
        "python -m fewshot_sla.compare",
        "Compare two runs on the episodes that both were tested on (see meta_test).",
        config_option=False,
    )
    parser.add_argument("run_a", type=str, help="Run folder of the baseline.")
    parser.add_argument("run_b", type=str, help="Run folder of what is held against it.")
    parser.add_argument("--split", type=str, default="test", help="Split that both were tested on.")
    for letter in "ab":
        parser.add_argument(
            f"--inference_{letter}",
            type=str,
            default=None,
            help=f"Inference of run {letter.upper()} to compare, single or aggregated; by default the one that "
            "chose its best checkpoint.",
        )
    parser.add_argument(
        "--output", type=str, default="", help="PNG to write; by default comparison.png in run folder B."
    )
    options = configuration.parse(parser, arguments)

    from pathlib import Path

    from fewshot_sla.meta.comparison import compare_runs
    from fewshot_sla.meta.comparison_report import comparison_table, draw_comparison, warnings_about
    from fewshot_sla.reporting.formats import show

    a, b = RunFolder(options.run_a), RunFolder(options.run_b)
    comparisons = compare_runs(a, b, options.split, options.inference_a, options.inference_b)
    output = Path(options.output).expanduser() if options.output else b.path / "comparison.png"
    draw_comparison(output, comparisons)
    show(comparison_table(comparisons), *warnings_about(comparisons), f"picture: {output}")
    return OK


if __name__ == "__main__":
    sys.exit(run_door(main))
