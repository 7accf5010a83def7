"""How good predictions on pictures in files are: many small problems, each from the files anew.

    python -m examples.measure_predictions RUN_FOLDER FOLDER [PROBLEMS]

FOLDER holds a folder of pictures for each class, of classes that the run was not trained on. A problem is five classes
with 5 support and 15 query pictures each.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fewshot_sla.prediction import FewShotClassifier
from fewshot_sla.runs.statistics import interval_half_width

WAYS, SHOTS, QUERIES = 5, 5, 15


def main(arguments: Sequence[str]) -> None:
    """Print accuracy of SLA+AG and SLA+SI, of leaving one out, and the accuracy by how many views agree."""
    run, folder, problems = arguments[0], Path(arguments[1]), int(arguments[2]) if len(arguments) > 2 else 300
    classes = sorted(path for path in folder.iterdir() if path.is_dir())
    generator = np.random.default_rng(12345)
    accuracies: dict[str, list[float]] = {"aggregated": [], "single": [], "leave-one-out": []}
    agreement, right = [], []
    for _ in range(problems):
        chosen = [classes[number] for number in generator.choice(len(classes), WAYS, replace=False)]
        drawn = [generator.permutation(sorted(path.iterdir()))[: SHOTS + QUERIES] for path in chosen]
        support, queries = (
            [path for paths in drawn for path in paths[part]] for part in (slice(SHOTS), slice(SHOTS, None))
        )
        names, truth = ([path.parent.name for path in paths] for paths in (support, queries))
        for inference in ("single", "aggregated"):
            classifier = FewShotClassifier(run, inference=inference).fit(support, names)
            hits = classifier.predict(queries) == np.array(truth)
            accuracies[inference].append(hits.mean())
        accuracies["leave-one-out"].append(classifier.leave_one_out()[0])
        agreement.append(classifier.agreement(queries))
        right.append(hits)
    for name, values in accuracies.items():
        of = np.array(values)
        sys.stdout.write(f"{name}: {100 * of.mean():.2f} ± {100 * interval_half_width(of):.2f} %\n")
    together, all_hits = np.concatenate(agreement), np.concatenate(right)
    for share in np.unique(together):
        hits = all_hits[together == share]
        sys.stdout.write(
            f"{100 * share:.0f} % of the views agree: {len(hits)} queries, {100 * hits.mean():.1f} % right\n"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
