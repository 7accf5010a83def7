"""What the run folder of a classifier gets at the end of training: validation results, learning curve."""

from typing import Any

from fewshot_sla.classification.classifier import Classifier
from fewshot_sla.classification.predictions import images_per_pass, predict_classes
from fewshot_sla.classification.recipe import Classification
from fewshot_sla.classification.results import ClassificationResult, prediction_tables, summarize_classes
from fewshot_sla.classification.tables import class_results_table
from fewshot_sla.reporting.formats import show
from fewshot_sla.reporting.learning_curve import draw_learning_curve
from fewshot_sla.runs.metrics import read_metrics
from fewshot_sla.runs.results import save_details, save_results
from fewshot_sla.training.details import training_details
from fewshot_sla.training.train import Training
from fewshot_sla.training.trained import TrainedRun


def report_training(
    training: Training, run: TrainedRun[Classification, Classifier], configuration: dict[str, Any]
) -> None:
    """Write ``learning_curve.png`` and ``results.json``; print the results, if there was a validation.

    Args:
        training: what came of it.
        run: the model with the weights that were kept.
        configuration: the resolved configuration, kept beside the results.
    """
    run, folder = run.to(training.fabric.device), run.folder
    objective, images = run.recipe.objective, training.task.validation
    title = f"{run.recipe.data.name}, {type(objective).__name__}"
    draw_learning_curve(folder.learning_curve, read_metrics(folder.metrics), title)
    details = training_details(training, configuration)
    if images is None:
        save_details(folder, ClassificationResult, details, run.step)
        show(f"{folder.path}: {training.steps} steps; next: python -m fewshot_sla.test {folder.path}")
        return
    batches = images.batches(1, 0).in_order(batch_size=images_per_pass(objective, images.image_shape))
    found = predict_classes(run.model, objective, batches, run.normalization, autocast=training.fabric.autocast)
    counts = run.state["class_counts"]
    results = summarize_classes(found, images, counts, primary=objective.primary, step=run.step)
    save_results(folder, results, prediction_tables(results, found, images.class_names), images, details)
    show(class_results_table(results, f"{folder.path} on {images.name}: best of {training.steps} steps"))
