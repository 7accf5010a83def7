"""``python -m fewshot_sla.train``: train a classifier; the run folder then holds all there is to know of it."""

import sys
from collections.abc import Sequence

from fewshot_sla import study
from fewshot_sla.classification.kind import CLASSIFICATION
from fewshot_sla.cli.door import run_door
from fewshot_sla.training.door import run_training


def main(arguments: Sequence[str]) -> int:
    """Train by the arguments; without any, compare all objectives on handwritten digits."""
    return run_training(CLASSIFICATION, arguments) if arguments else study.main([])


if __name__ == "__main__":
    sys.exit(run_door(main))
