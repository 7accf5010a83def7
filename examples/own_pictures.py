"""The classes of one's own pictures from Python, in scikit-learn's manner.

make run
python -m examples.letters letters
python -m examples.own_pictures letters
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from fewshot_sla.prediction import FewShotClassifier


def main(arguments: Sequence[str]) -> None:
    """Fit on ``FOLDER/support/CLASS/*``, predict ``FOLDER/query/*``; the second argument may be a run folder."""
    folder, run = Path(arguments[0] if arguments else "letters"), arguments[1] if len(arguments) > 1 else None
    support, queries = sorted((folder / "support").glob("*/*")), sorted((folder / "query").iterdir())

    classifier = FewShotClassifier(run).fit(support, [path.parent.name for path in support])
    labels = classifier.predict(queries)

    accuracy, (low, high) = classifier.leave_one_out()
    agreement = classifier.agreement(queries)
    for path, label, share in zip(queries, labels, agreement, strict=True):
        sys.stdout.write(f"{path.name}: {label} ({100 * share:.0f} % of the views agree)\n")
    sys.stdout.write(f"leave-one-out accuracy {accuracy:.2f}, 95 % interval {low:.2f} to {high:.2f}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
