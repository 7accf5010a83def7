"""``python -m fewshot_sla.test RUN_FOLDER...``: the accuracy of a trained classifier, or of an ensemble of several."""

import sys
from collections.abc import Sequence
from pathlib import Path

from episodes.errors import UserError
from fewshot_sla.classification.kind import CLASSIFICATION
from fewshot_sla.classification.recipe import ClassificationTest
from fewshot_sla.cli import configuration
from fewshot_sla.cli.door import OK, run_door
from fewshot_sla.reporting.formats import Format
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.training.recipe import Hardware
from fewshot_sla.training.trained import load_trained


def main(arguments: Sequence[str]) -> int:
    """Load the runs, predict, write results.json, print the table."""
    parser = configuration.build_parser(
        "python -m fewshot_sla.test",
        "Evaluate a trained classifier. Model, transformations, data and normalisation come from the run folder. Of "
        "several run folders each is evaluated, and then their independent ensemble (IE): the mean of their logits, "
        "softmax last.",
        ClassificationTest,
        Hardware,
        config_option=False,
    )
    parser.add_argument("run_folders", type=str, nargs="+", help="Run folders of train.")
    parser.add_argument(
        "--ten_crop",
        action="store_true",
        help="Also classify by ten crops: the image is padded by --padding pixels of black on each side; the four "
        "corners and the centre of that, each of the image's own size, and the same five mirrored; their softmax "
        "outputs are averaged. Of an ensemble, logits are averaged over its members crop by crop before that.",
    )
    parser.add_argument("--output", type=str, default="", help="JSON file for the figures of an ensemble.")
    parser.add_argument("--format", type=Format, default="terminal", help="How the tables are written.")
    options = configuration.parse(parser, arguments)
    test: ClassificationTest = configuration.instantiate(parser, options, ClassificationTest)
    hardware: Hardware = configuration.instantiate(parser, options, Hardware)
    if options.output and len(options.run_folders) < 2:
        raise UserError("--output is for the figures of an ensemble: give two run folders or more, or leave it out")
    if hardware.devices > 1 or hardware.num_nodes > 1:
        raise UserError("a classifier is tested by one process: leave out --devices and --num_nodes")

    from fewshot_sla.classification.testing import evaluate_runs  # heavy imports come after the command line is good

    runs = [load_trained(CLASSIFICATION, RunFolder(path)) for path in options.run_folders]
    ensemble_file = Path(options.output) if options.output else None
    evaluate_runs(runs, test, hardware, ten_crop=options.ten_crop, ensemble_file=ensemble_file, form=options["format"])
    return OK


if __name__ == "__main__":
    sys.exit(run_door(main))
