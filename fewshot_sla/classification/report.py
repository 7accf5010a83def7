"""What the run folder of a classifier gets: validation results, learning curve; and the report of an ensemble."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fewshot_sla.classification.predictions import ensemble, predict_classes
from fewshot_sla.classification.results import (
    save_class_results,
    save_training_details,
    summarize_classes,
)
from fewshot_sla.classification.tables import class_results_table
from fewshot_sla.classification.task import images_per_pass
from fewshot_sla.classification.testing import Tested
from fewshot_sla.classification.trained import load_classifier
from fewshot_sla.reporting.learning_curve import draw_learning_curve
from fewshot_sla.reporting.tables import show
from fewshot_sla.runs.folder import RunFolder, write_text
from fewshot_sla.runs.metrics import read_metrics
from fewshot_sla.runs.provenance import versions
from fewshot_sla.training.details import training_details
from fewshot_sla.training.training import Training


def report_classification(training: Training, folder: RunFolder, configuration: dict[str, Any]) -> None:
    """Write ``learning_curve.png`` and ``results.json``; print the results, if there was a validation.

    Args:
        training: what came of it.
        folder: the run.
        configuration: the resolved configuration, kept beside the results.
    """
    run = load_classifier(folder).to(training.fabric.device)  # the weights that were kept
    objective, images = run.recipe.objective, training.validation
    title = f"{run.recipe.data.name}, {type(objective).__name__}"
    draw_learning_curve(folder.learning_curve, read_metrics(folder.metrics), title)
    details = training_details(training, configuration)
    step = int(run.best["step"])
    if images is None:
        save_training_details(folder, details, step)
        show(f"{folder.path}: {training.steps} steps; next: python -m fewshot_sla.test {folder.path}")
        return
    batches = run.source(images).in_order(batch_size=images_per_pass(objective))
    found = predict_classes(run.classifier, objective, batches, run.normalization, autocast=training.fabric.autocast)
    results = summarize_classes(found, images, run.class_counts, primary=objective.primary, step=step)
    save_class_results(folder, results, found, images, details)
    show(class_results_table(results, f"{folder.path} on {images.name}: best of {training.steps} steps"))


def report_ensemble(members: Sequence[Tested], path: str) -> None:
    """Print what the mean of the members' probabilities comes to, and write it to a JSON file if one is named.

    Inferences that not all members have are left out.
    """
    first, images = members[0].run, members[0].images
    names = [str(member.run.folder.path) for member in members]
    results = summarize_classes(
        ensemble([member.found for member in members]),
        images,
        first.class_counts,
        primary=first.recipe.objective.primary,
        step=int(first.best["step"]),
    )
    show(class_results_table(results, f"independent ensemble (IE) of {len(members)} runs on {images.name}"))
    if path:
        document = {"members": names, "results": [asdict(result) for result in results], "versions": versions()}
        write_text(Path(path), json.dumps(document, indent=2, ensure_ascii=False) + "\n")
