"""``python -m fewshot_sla.test RUN_FOLDER...``: the accuracy of a trained classifier, or of an ensemble of several."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from episodes.errors import UserError
from fewshot_sla.cli import configuration
from fewshot_sla.cli.door import OK, run_door
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.training.recipe import Hardware


@dataclass
class ClassificationTest:
    """What to test on, and how.

    Args:
        split: "test", "val" or "train".
        inference: name of one inference, for instance aggregated; by default all that the model has.
        padding: pixels added on each side for the ten crops.
    """

    split: str = "test"
    inference: str = ""
    padding: int = 4

    def __post_init__(self) -> None:
        """Refuse what cannot be cropped."""
        if self.padding < 1:
            raise UserError(f"padding must be at least 1, got {self.padding}")


def main(arguments: Sequence[str]) -> int:
    """Load the runs, predict, write results.json, print the table."""
    parser = configuration.build_parser(
        "python -m fewshot_sla.test",
        "Evaluate a trained classifier. Model, transformations, data and normalisation come from the run folder. Of "
        "several run folders each is evaluated, and then their independent ensemble: the mean of their probabilities.",
        ClassificationTest,
        Hardware,
        config_option=False,
    )
    parser.add_argument("run_folders", type=str, nargs="+", help="Run folders of train.")
    parser.add_argument(
        "--ten_crop",
        action="store_true",
        help="Also average over ten crops: corners and centre of the padded image, and of its mirror image.",
    )
    parser.add_argument("--output", type=str, default="", help="JSON file to write the figures of an ensemble to.")
    options = configuration.parse(parser, arguments)
    test: ClassificationTest = configuration.instantiate(parser, options, ClassificationTest)
    hardware: Hardware = configuration.instantiate(parser, options, Hardware)
    if options.output and len(options.run_folders) < 2:
        raise UserError("--output is for the figures of an ensemble: give two run folders or more, or leave it out")
    if hardware.devices > 1 or hardware.num_nodes > 1:
        raise UserError("a classifier is tested by one process: leave out --devices and --num_nodes")

    # Heavy imports come after the command line is known to be good.
    from fewshot_sla.classification.report import report_ensemble
    from fewshot_sla.classification.results import prediction_tables
    from fewshot_sla.classification.tables import class_results_table
    from fewshot_sla.classification.testing import evaluate_run, load_together
    from fewshot_sla.reporting.tables import show
    from fewshot_sla.runs.results import save_results
    from fewshot_sla.training.details import evaluation_details

    fabric = hardware.fabric()
    members = []
    for run, images in load_together([RunFolder(path) for path in options.run_folders], test.split):
        results = []
        for padding in (0, test.padding) if options.ten_crop else (0,):
            began = time.monotonic()
            tested = evaluate_run(run, images, hardware, fabric, inference=test.inference, padding=padding)
            seconds = {f"{test.split}{'_10crops' if padding else ''}": time.monotonic() - began}
            details = evaluation_details(run.configuration, hardware, fabric, seconds)
            tables = prediction_tables(tested.results, tested.found, images.class_names)
            save_results(run.folder, tested.results, tables, images, details)
            results += tested.results
            if not padding:
                members.append(tested)
        show(class_results_table(results, f"{run.folder.path} on {images.name}"))
    if len(members) > 1:
        report_ensemble(members, options.output)
    return OK


if __name__ == "__main__":
    sys.exit(run_door(main))
