"""``python -m fewshot_sla.report RUN...``: one HTML file with all there is to know of one run, or of several."""

import sys
from collections.abc import Sequence
from pathlib import Path

from episodes.errors import UserError
from fewshot_sla.cli import configuration
from fewshot_sla.cli.door import OK, run_door
from fewshot_sla.reporting.overview.parts import Looking
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.studies.kinds import kind_of
from fewshot_sla.training.recipe import Hardware


def main(arguments: Sequence[str]) -> int:
    """Read the runs, look at some predictions anew, write the page."""
    parser = configuration.build_parser(
        "python -m fewshot_sla.report",
        "Write one HTML file, which needs no network, about trained runs: what was trained, curves, accuracies, "
        "episodes or mistakes as pictures, confusions, features, what the views bring, where it all comes from. Of "
        "several runs, side by side. What a run does not have yet is named there with the command that gives it.",
        Looking,
        Hardware,
        config_option=False,
    )
    parser.add_argument("runs", type=str, nargs="+", help="Run folders of meta_train or train.")
    parser.add_argument(
        "--output", type=str, default="", help="HTML file to write; by default report.html in the first run folder."
    )
    options = configuration.parse(parser, arguments)
    looking: Looking = configuration.instantiate(parser, options, Looking)
    hardware: Hardware = configuration.instantiate(parser, options, Hardware)
    if hardware.devices > 1 or hardware.num_nodes > 1:
        raise UserError("a report is made by one process: leave out --devices and --num_nodes")
    folders = [RunFolder(path) for path in options.runs]
    output = Path(options.output).expanduser() if options.output else folders[0].path / "report.html"
    if output.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"--output {options.output}: give a file name that ends in .html")

    from episodes.progress import show_progress
    from fewshot_sla.reporting.formats import show
    from fewshot_sla.reporting.overview.facts import read_facts
    from fewshot_sla.reporting.overview.page import overview_page
    from fewshot_sla.runs.folder import write_text
    from fewshot_sla.runs.names import distinct_names

    kinds = [kind_of(folder) for folder in folders]
    named = zip(distinct_names(folders), folders, kinds, strict=True)
    facts = [read_facts(name, folder, kind.parser()) for name, folder, kind in named]
    parts = []
    for kind, run in zip(kinds, facts, strict=True):
        with show_progress(f"looking at {run.name}") as on_progress:
            parts.append(kind.overview(run.folder, looking, hardware, on_progress))
    write_text(output, overview_page(facts, parts))
    show(f"report: {output}")
    return OK


if __name__ == "__main__":
    sys.exit(run_door(main))
