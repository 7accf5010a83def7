"""Testing trained meta-learners on many episodes of the images of one split."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest
from pathlib import Path

from lightning_fabric import Fabric

from episodes.datasets.base import DataSource, load_split
from episodes.disjoint import DisjointSampler
from episodes.errors import UserError
from episodes.images.crops import as_is, ten_crops
from episodes.images.labelled import LabelledImages
from episodes.progress import show_progress
from episodes.source import EpisodeSource
from episodes.unknown import UnknownQueries
from fewshot_sla.meta.distributed import evaluate_all_together
from fewshot_sla.meta.learners.base import MetaLearner
from fewshot_sla.meta.objectives import EpisodeObjective
from fewshot_sla.meta.outcome_files import outcome_tables
from fewshot_sla.meta.predictions import Selection, check_crops
from fewshot_sla.meta.recipe import MetaTest, MetaTraining
from fewshot_sla.meta.report import draw_one_episode
from fewshot_sla.meta.results import EpisodeResult, summarize
from fewshot_sla.meta.tables import detection_table, runs_table
from fewshot_sla.reporting.formats import Format, show
from fewshot_sla.reporting.tables import unique
from fewshot_sla.runs.checkpoint import load_state
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.runs.names import distinct_names
from fewshot_sla.runs.results import read_results, save_results
from fewshot_sla.runs.unfinished import unfinished
from fewshot_sla.training.details import evaluation_details
from fewshot_sla.training.processes import launch
from fewshot_sla.training.recipe import Hardware
from fewshot_sla.training.trained import TrainedRun

TrainedLearner = TrainedRun[MetaTraining, MetaLearner]
TEN = 10


@dataclass(frozen=True)
class Prepared:
    """A run and the episodes that it is tested on.

    Attributes:
        run: the learner.
        images: of the split.
        episodes: of each size, with replacement; with unknown queries if they are asked for.
        disjoint: of each size, of which no two share an image; none if they are not asked for.
    """

    run: TrainedLearner
    images: LabelledImages
    episodes: list[Selection]
    disjoint: list[Selection]


def evaluate_run(run: TrainedLearner, test: MetaTest, hardware: Hardware) -> None:
    """Evaluate one run; see :func:`evaluate_runs`."""
    evaluate_runs([run], test, hardware)


def evaluate_runs(
    runs: Sequence[TrainedLearner],
    test: MetaTest,
    hardware: Hardware,
    *,
    ten_crop: bool = False,
    form: Format = "terminal",
    output: str | Path = "",
) -> None:
    """Evaluate every run on every size of episodes; the first process writes the results and shows them in one table.

    Args:
        runs: the learners.
        test: on which episodes.
        hardware: what to run on.
        ten_crop: also test with ten crops of each image.
        form: how the table is written.
        output: file for it; standard output if none is named.

    Raises:
        UserError: if a run is given twice, its split cannot fill the episodes, or it has no features to average over
            crops; before anything is computed.
    """
    folders = [run.folder for run in runs]
    names = distinct_names(folders) if len(runs) > 1 else [str(folders[0].path)]
    for run in runs:
        _prepare(run, load_split(run.recipe.data, test.split), test)
        if ten_crop:
            check_crops(run.model)
    fabric = hardware.fabric()
    launch(fabric, hardware.wait_s)
    found: dict[str, list[EpisodeResult]] = {}
    for name, run in zip(names, runs, strict=True):
        hardware.prepare(run.to(fabric.device).model)
        images = load_split(run.recipe.data, test.split).on(fabric.device, hardware.placement)
        prepared = _prepare(run, images, test)
        found[name] = [
            result
            for padding in (0, test.padding)[: 1 + ten_crop]
            for result in _evaluated(prepared, test, hardware, fabric, padding)
        ]
        if fabric.is_global_zero:
            draw_one_episode(run, prepared.episodes[0].source, fabric.autocast)
        run.to("cpu")  # the next one may need the memory
    if fabric.is_global_zero:
        images_of = unique(f"{result.dataset}/{result.split}" for results in found.values() for result in results)
        what = names[0] if len(names) == 1 else f"{len(names)} runs"
        title = f"{what} on {' and '.join(images_of)}"
        tables = [runs_table(found, title), *([detection_table(found, title)] if test.unknown_ways else [])]
        show(*tables, *filter(None, map(unfinished, folders)), form=form, output=output)


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
    sizes = test.n_way, test.n_query, test.episodes, test.seed, 1, test.unknown_ways
    found = [
        result
        for result in read_results(folder, EpisodeResult)
        if (result.split, result.step, result.fingerprint) == now
        and (result.n_way, result.n_query, result.episodes, result.seed, result.crops, result.unknown_ways) == sizes
        and result.k_shot in test.k_shot
    ]
    wanted = {(k_shot, name) for k_shot in test.k_shot for name in objective.inferences}
    return found if {(result.k_shot, result.inference) for result in found}.issuperset(wanted) else []


def _prepare(run: TrainedLearner, images: LabelledImages, test: MetaTest) -> Prepared:
    """Draw nothing yet, but say what cannot be drawn."""
    if test.unknown_ways and run.model.transductive:
        raise UserError(
            f"{run.folder.path}: the learner is transductive, so queries of unknown classes would change the answers "
            "to the others; test it without --unknown_ways"
        )
    episodes, disjoint = [], []
    for spec in test.specs():
        source = EpisodeSource(images, spec, test.seed, run.normalization)
        unknown = UnknownQueries(source, test.unknown_ways) if test.unknown_ways else None
        episodes.append(Selection(source, range(test.episodes), unknown))
        if test.disjoint:
            apart = EpisodeSource(images, spec, test.seed, run.normalization, sampler=DisjointSampler)
            assert isinstance(apart.sampler, DisjointSampler)
            disjoint.append(Selection(apart, range(min(test.episodes, len(apart.sampler)))))
    return Prepared(run, images, episodes, disjoint)


def _evaluated(
    prepared: Prepared,
    test: MetaTest,
    hardware: Hardware,
    fabric: Fabric,
    padding: int,  # of the ten crops; 0 for the images as they are
) -> list[EpisodeResult]:
    """Results on all sizes of episodes, for which the images are embedded once; the first process writes them."""
    run, images, specs = prepared.run, prepared.images, test.specs()
    began = time.monotonic()
    job = f"testing {run.folder.path.name}{', ten crops' if padding else ''}"
    with show_progress(job, silent=not fabric.is_global_zero) as on_progress:
        outcomes = evaluate_all_together(
            fabric,
            run.model,
            run.recipe.objective,
            [*prepared.episodes, *prepared.disjoint],
            crops=partial(ten_crops, padding=padding) if padding else as_is,
            on_progress=on_progress,
        )
    seconds = time.monotonic() - began
    results: list[EpisodeResult] = []
    tables: dict[str, str] = {}
    for spec, found, apart in zip_longest(specs, outcomes[: len(specs)], outcomes[len(specs) :]):
        tested = summarize(
            found,
            images,
            spec,
            test.seed,
            primary=run.recipe.objective.primary,
            step=run.step,
            disjoint=apart,
            crops=TEN if padding else 1,
            padding=padding,
            unknown_ways=test.unknown_ways,
            transductive=run.model.transductive,
        )
        results += tested
        tables |= outcome_tables(tested, found, images.class_names, apart)
    if fabric.is_global_zero:
        names = " and ".join(unique(result.test_name for result in results))  # all of them took this long together
        details = evaluation_details(run.configuration, hardware, fabric, {names: seconds})
        save_results(run.folder, results, tables, images, details)
    return results
