"""``python -m fewshot_sla.meta_test RUN_FOLDER``: the accuracy of a trained meta-learner on classes it never saw."""

import sys
from collections.abc import Sequence

from fewshot_sla.cli import configuration
from fewshot_sla.cli.door import OK, run_door
from fewshot_sla.meta.kind import META
from fewshot_sla.meta.recipe import MetaTest
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.training.recipe import Hardware
from fewshot_sla.training.trained import load_trained


def main(arguments: Sequence[str]) -> int:
    """Load the run, evaluate, write results.json, print the table."""
    parser = configuration.build_parser(
        "python -m fewshot_sla.meta_test",
        "Evaluate a trained meta-learner. Model, transformations, data and normalisation come from the run folder.",
        MetaTest,
        Hardware,
        config_option=False,
    )
    parser.add_argument("run_folder", type=str, help="Run folder of meta_train.")
    options = configuration.parse(parser, configuration.join_lists(arguments, "--k_shot"))
    test: MetaTest = configuration.instantiate(parser, options, MetaTest)
    hardware: Hardware = configuration.instantiate(parser, options, Hardware)

    from fewshot_sla.meta.testing import evaluate_run  # heavy imports come after the command line is known to be good

    evaluate_run(load_trained(META, RunFolder(options.run_folder)), test, hardware)
    return OK


if __name__ == "__main__":
    sys.exit(run_door(main))
