"""``python -m fewshot_sla.meta_train``: train a meta-learner; the run folder then holds all there is to know of it."""

import sys
from collections.abc import Sequence

from fewshot_sla.cli.door import run_door
from fewshot_sla.meta.kind import META
from fewshot_sla.training.door import run_training


def main(arguments: Sequence[str]) -> int:
    """Parse, check everything, train, report."""
    return run_training(META, arguments)


if __name__ == "__main__":
    sys.exit(run_door(main))
