"""Testing trained meta-learners on many episodes of the images of one split."""

import time

from episodes.datasets.base import DataSource, load_split
from episodes.progress import show_progress
from episodes.source import EpisodeSource
from fewshot_sla.meta.distributed import evaluate_together
from fewshot_sla.meta.learners.base import MetaLearner
from fewshot_sla.meta.objectives import EpisodeObjective
from fewshot_sla.meta.recipe import MetaTest, MetaTraining
from fewshot_sla.meta.report import draw_one_episode
from fewshot_sla.meta.results import EpisodeResult, outcome_tables, summarize
from fewshot_sla.meta.tables import results_table
from fewshot_sla.reporting.formats import show
from fewshot_sla.runs.checkpoint import load_state
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.runs.results import read_results, save_results
from fewshot_sla.training.details import evaluation_details
from fewshot_sla.training.processes import launch
from fewshot_sla.training.recipe import Hardware
from fewshot_sla.training.trained import TrainedRun


def evaluate_run(run: TrainedRun[MetaTraining, MetaLearner], test: MetaTest, hardware: Hardware) -> None:
    """Evaluate every size of episodes; the first process writes the results and shows them.

    Raises:
        UserError: if the split cannot fill the episodes.
    """
    images = load_split(run.recipe.data, test.split)
    for spec in test.specs():  # what cannot be drawn is said before anything is computed
        EpisodeSource(images, spec, test.seed, run.normalization)
    fabric = hardware.fabric()
    launch(fabric, hardware.wait_s)
    hardware.prepare(run.to(fabric.device).model)
    images = images.on(fabric.device, hardware.placement)
    sources = [EpisodeSource(images, spec, test.seed, run.normalization) for spec in test.specs()]

    results: list[EpisodeResult] = []
    for source in sources:
        began = time.monotonic()
        with show_progress(f"testing, {source.sampler.spec}", silent=not fabric.is_global_zero) as on_progress:
            outcomes = evaluate_together(
                fabric, run.model, run.recipe.objective, source, range(test.episodes), on_progress
            )
        tested = summarize(
            outcomes, images, source.sampler.spec, test.seed, primary=run.recipe.objective.primary, step=run.step
        )
        if fabric.is_global_zero:
            seconds = {tested[0].test_name: time.monotonic() - began}
            details = evaluation_details(run.configuration, hardware, fabric, seconds)
            tables = outcome_tables(tested, outcomes, images.class_names)
            save_results(run.folder, tested, tables, images, details)
        results += tested
    if fabric.is_global_zero:
        draw_one_episode(run, sources[0], fabric.autocast)
        show(results_table(results, f"{run.folder.path} on {images.name}"))


def standard_results(
    folder: RunFolder,
    data: DataSource,  # of the run
    objective: EpisodeObjective,  # of the run
    split: str,
) -> list[EpisodeResult]:
    """The results of the standard test, of the weights and images as they are now; none unless it was made whole.

    Raises:
        UserError: if the run, its results or its images cannot be read.
    """
    if not folder.results.exists():
        return []
    test = MetaTest(split=split)
    now = split, int(load_state(folder.best)["best"]["step"]), load_split(data, split).fingerprint
    sizes = test.n_way, test.n_query, test.episodes, test.seed
    found = [
        result
        for result in read_results(folder, EpisodeResult)
        if (result.split, result.step, result.fingerprint) == now
        and (result.n_way, result.n_query, result.episodes, result.seed) == sizes
        and result.k_shot in test.k_shot
    ]
    wanted = {(k_shot, name) for k_shot in test.k_shot for name in objective.inferences}
    return found if {(result.k_shot, result.inference) for result in found}.issuperset(wanted) else []
