"""What a run folder gets at the end of training: validation results, learning curve, one episode as a picture."""

from typing import Any

from episodes.source import EpisodeSource
from fewshot_sla.meta.episode_picture import draw_episode
from fewshot_sla.meta.learners.base import MetaLearner
from fewshot_sla.meta.outcome_files import outcome_tables
from fewshot_sla.meta.predictions import predict_episode
from fewshot_sla.meta.protocol import evaluate
from fewshot_sla.meta.recipe import VALIDATION_SEED, MetaTraining
from fewshot_sla.meta.results import summarize
from fewshot_sla.meta.tables import results_table
from fewshot_sla.meta.task import MetaTask
from fewshot_sla.reporting.formats import show
from fewshot_sla.reporting.learning_curve import draw_learning_curve
from fewshot_sla.runs.metrics import read_metrics
from fewshot_sla.runs.results import save_results
from fewshot_sla.training.details import training_details
from fewshot_sla.training.modes import Autocast
from fewshot_sla.training.train import Training
from fewshot_sla.training.trained import TrainedRun


def report_training(
    training: Training, run: TrainedRun[MetaTraining, MetaLearner], configuration: dict[str, Any]
) -> None:
    """Write ``results.json`` (validation), ``learning_curve.png`` and ``episode_val.png``, and print the results.

    Args:
        training: what came of it.
        run: the model with the best weights, not the last.
        configuration: the resolved configuration, kept beside the results.
    """
    run = run.to(training.fabric.device)
    recipe, folder = run.recipe, run.folder
    assert isinstance(training.task, MetaTask)
    images = training.task.validation
    source = EpisodeSource(images, recipe.validation, VALIDATION_SEED, run.normalization)
    autocast = training.fabric.autocast  # as the best checkpoint was chosen
    outcomes = evaluate(run.model, recipe.objective, source, range(recipe.validation_episodes), autocast=autocast)
    results = summarize(
        outcomes,
        images,
        recipe.validation,
        VALIDATION_SEED,
        primary=recipe.objective.primary,
        step=run.step,
        transductive=run.model.transductive,
    )
    tables = outcome_tables(results, outcomes, images.class_names)
    save_results(folder, results, tables, images, training_details(training, configuration))
    title = f"{images.name}, {recipe.train}"
    draw_learning_curve(folder.learning_curve, read_metrics(folder.metrics), title)
    draw_one_episode(run, source, autocast)
    show(results_table(results, f"{folder.path}, best of {training.steps} steps, on {images.name}"))


def draw_one_episode(run: TrainedRun[MetaTraining, MetaLearner], source: EpisodeSource, autocast: Autocast) -> None:
    """Draw episode 0 of a source with the predictions of a trained model."""
    indices, predicted = predict_episode(run.model, run.recipe.objective, source, 0, autocast)
    split = source.images.name.rpartition("/")[2]
    title = f"{source.images.name}, {run.recipe.objective.primary} inference"
    draw_episode(run.folder.episode_picture(split), source.images, indices, predicted, title)
