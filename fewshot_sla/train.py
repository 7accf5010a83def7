"""``python -m fewshot_sla.train``: train a classifier; the run folder then holds all there is to know of it."""

import sys
from collections.abc import Sequence

from fewshot_sla import study
from fewshot_sla.classification.training import train_classifier
from fewshot_sla.cli.door import run_door


def main(arguments: Sequence[str]) -> int:
    """Train by the arguments; without any, compare all objectives on handwritten digits."""
    return train_classifier(arguments) if arguments else study.main([])


if __name__ == "__main__":
    sys.exit(run_door(main))
