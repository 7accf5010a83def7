"""Training a classifier from the words of a command line, with its report: what both train and study do."""

from collections.abc import Sequence
from typing import Any

from fewshot_sla.classification.recipe import Classification, classification_parser
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.training.door import run_training
from fewshot_sla.training.recipe import Hardware


def train_classifier(arguments: Sequence[str]) -> int:
    """Parse, check everything, train, report; the exit code.

    Raises:
        UserError: if the arguments, or anything that they describe, are wrong.
    """
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
    from fewshot_sla.classification.report import report_classification
    from fewshot_sla.classification.task import ClassificationPlan
    from fewshot_sla.training.training import train

    trained = train(ClassificationPlan(recipe), hardware, folder, config, resuming=resuming)
    if trained.is_first_process:
        report_classification(trained, folder, configuration)
