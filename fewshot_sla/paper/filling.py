"""Filling a table: what is missing is trained and tested, then the ensembles and ten crops of what was trained."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from episodes.errors import UserError
from fewshot_sla.classification.kind import CLASSIFICATION
from fewshot_sla.classification.recipe import ClassificationTest
from fewshot_sla.classification.testing import evaluate_runs
from fewshot_sla.paper.found_runs import FoundRuns
from fewshot_sla.paper.missing import Missing, groups
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.solvers.errors import SolverError
from fewshot_sla.studies.board import Failure
from fewshot_sla.studies.cells import hardware_of
from fewshot_sla.studies.kinds import KINDS
from fewshot_sla.studies.launchers.base import Launch
from fewshot_sla.studies.launchers.slurm_options import SlurmOptions
from fewshot_sla.studies.plan import StudyPlan, trainings_of
from fewshot_sla.studies.work import fill
from fewshot_sla.training.trained import load_trained


class Filled(NamedTuple):
    """How it went."""

    failed_trainings: int  # each was said on standard error
    problems: list[str]  # one line a test that could not be made


def fill_table(
    missing: Missing,
    found: FoundRuns,
    share: float,
    options: Sequence[str] = (),
    *,
    workers: int = 0,
    threads: int = 1,
    launch: Launch = "here",
    slurm: SlurmOptions | None = None,
) -> Filled:
    """Do what is missing.

    Args:
        missing: what is to be done.
        found: the folder as it was before.
        share: of each schedule that is trained.
        options: told to every training.
        workers, threads, launch, slurm: as :func:`fewshot_sla.studies.work.fill` takes them.

    Raises:
        UserError: if nothing can be begun.
        Interrupted: after Ctrl-C; the same call goes on.
    """
    failures: list[Failure] = []
    for group in groups(missing, found, share):
        length = [f"--loop.steps={group.steps}"] if share < 1 else []
        trainings = trainings_of(group.words, [*length, *options])
        plan = StudyPlan(trainings, group.seeds, found.folder, found.split)
        failures += fill(KINDS[group.wing], plan, workers=workers, threads=threads, launch=launch, slurm=slurm)
    return Filled(len(failures), list(_tests(missing, found)))


def _tests(missing: Missing, found: FoundRuns) -> Iterator[str]:
    """Test what needs several trained models, or several crops."""
    for word, seeds in missing.ten_crops.items():
        folders = [found.place(word, seed) for seed in seeds]
        yield from _tested(folders, ClassificationTest(split=found.split), ten_crop=True)
    for ensemble in missing.ensembles:
        folders = [found.place(ensemble.word, seed) for seed in ensemble.seeds]
        test = ClassificationTest(split=found.split, inference=ensemble.inference)
        yield from _tested(folders, test, output=found.ensemble_file(ensemble.word, len(folders)))


def _tested(
    folders: Sequence[RunFolder], test: ClassificationTest, *, ten_crop: bool = False, output: Path | None = None
) -> Iterator[str]:
    try:
        runs = [load_trained(CLASSIFICATION, folder) for folder in folders]
        evaluate_runs(runs, test, hardware_of(runs[0].configuration), ten_crop=ten_crop, ensemble_file=output)
    except (UserError, SolverError) as error:
        yield str(error)
