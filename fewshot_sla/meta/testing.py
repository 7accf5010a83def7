"""Testing trained meta-learners on many episodes of the images of one split."""

import time

from episodes.datasets.base import load_split
from episodes.progress import show_progress
from episodes.source import EpisodeSource
from fewshot_sla.meta.distributed import evaluate_together
from fewshot_sla.meta.learners.base import MetaLearner
from fewshot_sla.meta.recipe import MetaTest, MetaTraining
from fewshot_sla.meta.report import draw_one_episode
from fewshot_sla.meta.results import Result, read_results, save_results, summarize
from fewshot_sla.meta.tables import results_table
from fewshot_sla.reporting.tables import show
from fewshot_sla.runs.checkpoint import load_state
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.training.details import test_details
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

    summary = []
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
            name = tested[0][0].test_name
            details = test_details(run.configuration, hardware, fabric, {name: time.monotonic() - began})
            save_results(run.folder, tested, images, details)
        summary += [result for result, _ in tested]
    if fabric.is_global_zero:
        draw_one_episode(run, sources[0], fabric.autocast)
        show(results_table(summary, f"{run.folder.path} on {images.name}"))


def standard_results(folder: RunFolder, split: str) -> list[Result]:
    """The results of the standard test of the weights that a run keeps now; none unless every size was tested.

    Raises:
        UserError: if the run or its results cannot be read.
    """
    if not folder.results.exists():
        return []
    step = load_state(folder.best)["best"]["step"]
    test = MetaTest(split=split)
    sizes = (test.n_way, test.n_query, test.episodes, test.seed)
    found = [
        result
        for result in read_results(folder)
        if (result.split, result.step) == (split, step)
        and (result.n_way, result.n_query, result.episodes, result.seed) == sizes
        and result.k_shot in test.k_shot
    ]
    return found if {result.k_shot for result in found} == set(test.k_shot) else []
