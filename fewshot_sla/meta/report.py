"""What a run folder gets at the end of training: validation results, learning curve, one episode as a picture."""

from typing import Any

from episodes.images.labelled import LabelledImages
from episodes.source import EpisodeSource
from fewshot_sla.meta.episode_picture import draw_episode
from fewshot_sla.meta.protocol import evaluate, predict_episode
from fewshot_sla.meta.recipe import VALIDATION_SEED
from fewshot_sla.meta.results import outcome_tables, summarize
from fewshot_sla.meta.tables import results_table
from fewshot_sla.meta.trained import TrainedRun, load_trained
from fewshot_sla.reporting.learning_curve import draw_learning_curve
from fewshot_sla.reporting.tables import show
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.runs.metrics import read_metrics
from fewshot_sla.runs.results import save_results
from fewshot_sla.training.details import training_details
from fewshot_sla.training.modes import Autocast
from fewshot_sla.training.training import Training


def report_training(training: Training, folder: RunFolder, configuration: dict[str, Any]) -> None:
    """Write ``results.json`` (validation), ``learning_curve.png`` and ``episode_val.png``, and print the results.

    Args:
        training: what came of it.
        folder: the run.
        configuration: the resolved configuration, kept beside the results.
    """
    run = load_trained(folder).to(training.fabric.device)  # the best weights, not the last
    recipe, images = run.recipe, training.validation
    assert isinstance(images, LabelledImages)  # meta-training always validates, on images in memory
    source = run.source(images, recipe.validation, VALIDATION_SEED)
    autocast = training.fabric.autocast  # as the best checkpoint was chosen
    outcomes = evaluate(recipe.learner, recipe.objective, source, range(recipe.validation_episodes), autocast=autocast)
    results = summarize(
        outcomes,
        images,
        recipe.validation,
        VALIDATION_SEED,
        primary=recipe.objective.primary,
        step=int(run.best["step"]),
    )
    tables = outcome_tables(results, outcomes, images.class_names)
    save_results(folder, results, tables, images, training_details(training, configuration))
    title = f"{images.name}, {recipe.train}"
    draw_learning_curve(folder.learning_curve, read_metrics(folder.metrics), title)
    draw_one_episode(run, folder, source, autocast)
    show(results_table(results, f"{folder.path}: best of {training.steps} steps"))


def draw_one_episode(run: TrainedRun, folder: RunFolder, source: EpisodeSource, autocast: Autocast) -> None:
    """Draw episode 0 of a source with the predictions of a trained model."""
    indices, predicted = predict_episode(run.recipe.learner, run.recipe.objective, source, 0, autocast)
    split = source.images.name.rpartition("/")[2]
    title = f"{source.images.name}, {run.recipe.objective.primary} inference"
    draw_episode(folder.episode_picture(split), source.images, indices, predicted, title)
