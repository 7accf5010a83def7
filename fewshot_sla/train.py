"""``python -m fewshot_sla.train``: train a classifier; the run folder then holds all there is to know of it."""

import sys
from collections.abc import Sequence
from typing import Any

from fewshot_sla.engine.classification_recipe import Classification, classification_parser
from fewshot_sla.engine.door import run_door
from fewshot_sla.engine.recipe import Hardware
from fewshot_sla.engine.run_folder import RunFolder
from fewshot_sla.engine.training_door import run_training


def main(arguments: Sequence[str]) -> int:
    """Parse, check everything, train, report; without any argument, compare all objectives on handwritten digits."""
    if not arguments:
        from fewshot_sla.study import main as compare_objectives

        return compare_objectives([])
    return run_training("train", classification_parser(), Classification, _train, arguments)


def _train(
    recipe: Classification,
    hardware: Hardware,
    folder: RunFolder,
    config: str,
    configuration: dict[str, Any],
    *,
    resuming: bool,
) -> None:
    # Heavy imports come after the command line is known to be good.
    from fewshot_sla.engine.classification import ClassificationPlan
    from fewshot_sla.engine.training import train
    from fewshot_sla.reporting.classification_report import report_classification

    trained = train(ClassificationPlan(recipe), hardware, folder, config, resuming=resuming)
    if trained.is_first_process:
        report_classification(trained, folder, configuration)


if __name__ == "__main__":
    sys.exit(run_door(main))
