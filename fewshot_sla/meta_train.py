"""``python -m fewshot_sla.meta_train``: train a meta-learner; the run folder then holds all there is to know of it."""

import sys
from collections.abc import Sequence
from typing import Any

from fewshot_sla.engine.door import run_door
from fewshot_sla.engine.meta_recipe import MetaTraining, recipe_parser
from fewshot_sla.engine.recipe import Hardware
from fewshot_sla.engine.run_folder import RunFolder
from fewshot_sla.engine.training_door import run_training


def main(arguments: Sequence[str]) -> int:
    """Parse, check everything, train, report."""
    return run_training("meta_train", recipe_parser(), MetaTraining, _train, arguments)


def _train(
    recipe: MetaTraining,
    hardware: Hardware,
    folder: RunFolder,
    config: str,
    configuration: dict[str, Any],
    *,
    resuming: bool,
) -> None:
    # Heavy imports come after the command line is known to be good.
    from fewshot_sla.engine.meta_training import MetaTrainingPlan
    from fewshot_sla.engine.training import train
    from fewshot_sla.reporting.run_report import report_training

    trained = train(MetaTrainingPlan(recipe), hardware, folder, config, resuming=resuming)
    if trained.is_first_process:
        report_training(trained, folder, configuration)


if __name__ == "__main__":
    sys.exit(run_door(main))
