"""``python -m fewshot_sla.meta_train``: train a meta-learner; the run folder then holds all there is to know of it."""

import sys
from collections.abc import Sequence
from typing import Any

from fewshot_sla.cli.door import run_door
from fewshot_sla.meta.recipe import MetaTraining, recipe_parser
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.training.door import run_training
from fewshot_sla.training.recipe import Hardware


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
    from fewshot_sla.meta.report import report_training
    from fewshot_sla.meta.task import MetaTrainingPlan
    from fewshot_sla.training.training import train

    trained = train(MetaTrainingPlan(recipe), hardware, folder, config, resuming=resuming)
    if trained.is_first_process:
        report_training(trained, folder, configuration)


if __name__ == "__main__":
    sys.exit(run_door(main))
