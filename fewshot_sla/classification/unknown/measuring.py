"""A trained classifier shown its own test images and those of other data sets: scores, figures, files, tables."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from lightning_fabric import Fabric

from episodes.datasets import UnlabelledFolder
from episodes.datasets.base import DataSource, open_split
from episodes.errors import UserError
from episodes.images.base import Images
from episodes.images.fitting import check_channels, fitting_in_words
from episodes.progress import OnProgress, show_progress
from fewshot_sla.classification.predictions import counted, images_per_pass
from fewshot_sla.classification.results import ClassificationResult
from fewshot_sla.classification.testing import TrainedClassifier, check_images, inferences_of
from fewshot_sla.classification.unknown.picture import draw_histograms
from fewshot_sla.classification.unknown.results import (
    UnknownResult,
    known_scores,
    save_unknown,
    scores_as_csv,
    summarize_unknown,
    unknown_scores,
)
from fewshot_sla.classification.unknown.scoring import Scored, score_images
from fewshot_sla.inference.first_views import views_asked
from fewshot_sla.inference.scores import SCORES
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.runs.results import read_document
from fewshot_sla.runs.unfinished import unfinished
from fewshot_sla.training.details import evaluation_details
from fewshot_sla.training.recipe import Hardware

SPLIT = "test"  # of the data sets with unknown images


@dataclass(frozen=True)
class Asked:
    """What is to be measured.

    Attributes:
        split: of the known images.
        inferences: names; all that the model has if there are none.
        scores: names of those that are shown and drawn; all if there are none. All are computed and kept.
    """

    split: str = "test"
    inferences: Sequence[str] = ()
    scores: Sequence[str] = ()

    def __post_init__(self) -> None:
        """Refuse scores that there are not."""
        wrong = [name for name in self.scores if name not in SCORES]
        if wrong:
            raise UserError(f"there is no score {wrong[0]!r}; there are {', '.join(SCORES)}")

    def shown(self, results: Sequence[UnknownResult]) -> list[UnknownResult]:
        """Those of the scores asked for."""
        return [result for result in results if not self.scores or result.score in self.scores]

    def of(self, run: TrainedClassifier) -> list[str]:
        """Names of the inferences to score by.

        Raises:
            UserError: if the run has no such inference; or if none has views to compare, and nothing else is asked for.
        """
        objective = run.recipe.objective
        names = dict.fromkeys(name for wanted in self.inferences or [""] for name in inferences_of(run, wanted))
        views = [views_asked(objective.inferences[name], objective.transformations.m) for name in names]
        if self.scores and max(views) == 1 and all(SCORES[name].needs_views for name in self.scores):
            raise UserError(
                f"{run.folder.path}: {', '.join(names)} asks one view, which has none to agree with; ask for another "
                "of --scores, or for an --inference with several views"
            )
        return list(names)


@dataclass(frozen=True)
class Measured:
    """What came of one unknown data set.

    Attributes:
        results: one an inference and score, those asked for.
        notes: what is to be said of them.
    """

    results: list[UnknownResult]
    notes: list[str] = field(default_factory=list)


def measure(
    run: TrainedClassifier, sets: Sequence[DataSource], asked: Asked, hardware: Hardware, fabric: Fabric
) -> list[Measured]:
    """Score the known images and those of each data set, and write results, scores and pictures into the run folder.

    Raises:
        UserError: if the run has no such inference, or images cannot be used.
    """
    inferences = asked.of(run)
    known = known_images(run, asked.split)
    others = [
        unknown_images(source, known) for source in sets
    ]  # what cannot be used is said before anything is computed
    hardware.prepare(run.to(fabric.device).model)
    measured = []
    with show_progress(f"scoring {run.folder.path.name}") as on_progress:
        scoring = Scoring(run, hardware, fabric, inferences, Told(on_progress, len(known) + sum(map(len, others))))
        began = time.monotonic()
        of_known = scoring(known)
        files = score_files(known, of_known, known.class_names, partial(known_scores, asked.split))
        for source, other in zip(sets, others, strict=True):
            of_other = scoring(other)
            results = summarize_unknown(known, of_known, other, of_other, run.step)
            against, shown = results[0].against, asked.shown(results)
            files |= score_files(other, of_other, known.class_names, partial(unknown_scores, against))
            details = evaluation_details(run.configuration, hardware, fabric, {against: time.monotonic() - began})
            save_unknown(run.folder, results, files, details)
            draw(run.folder, shown, of_known, of_other)
            measured.append(Measured(shown, _notes(run, source, other)))
            began, files = time.monotonic(), {}
    return measured


@dataclass
class Told:
    """Progress over several sets of images, counted together.

    Attributes:
        on_progress: told what is done.
        total: images of all sets.
        before: images of the sets that are done.
    """

    on_progress: OnProgress
    total: int
    before: int = 0

    def of(self, name: str) -> OnProgress:
        """What is to be told of one of the sets; it adds what was done before."""
        before = self.before
        return lambda what, done, total: self.on_progress(f"{what} of {name}", before + done, self.total)


@dataclass(frozen=True)
class Scoring:
    """Scores images by one run.

    Attributes:
        run: on its device already.
        hardware: as asked for.
        fabric: where to compute.
        inferences: names.
        told: how far it is.
    """

    run: TrainedClassifier
    hardware: Hardware
    fabric: Fabric
    inferences: Sequence[str]
    told: Told

    def __call__(self, images: Images) -> dict[str, Scored]:
        """The scores of every image by each inference."""
        objective = self.run.recipe.objective
        source = images.on(self.fabric.device, self.hardware.placement).batches(1, 0)
        batches = source.in_order(batch_size=images_per_pass(objective, self.run.image_shape))
        scored = score_images(
            self.run.model,
            objective,
            counted(batches, len(images), self.told.of(images.name)),
            self.run.normalization,
            image_shape=self.run.image_shape,
            inferences=self.inferences,
            autocast=self.fabric.autocast,
        )
        self.told.before += len(images)
        return scored


def known_images(run: TrainedClassifier, split: str) -> Images:
    """Images of a split of the run's own data.

    Raises:
        UserError: if they do not fit the run, or are not those that it was tested on.
    """
    images = open_split(run.recipe.data, split)
    check_images(run, images)
    if run.folder.results.exists():
        tested = read_document(run.folder, ClassificationResult).data.get(split)
        if tested and tested.fingerprint != images.fingerprint:
            raise UserError(
                f"{run.folder.path}: its {split} images are not those that it was tested on, the data have changed; "
                f"mend them, or test the run again with python -m fewshot_sla.test {run.folder.path}"
            )
    return images


def unknown_images(source: DataSource, known: Images) -> Images:
    """The test images of another data set.

    Raises:
        UserError: if they are the known ones, or cannot be shown to a network that takes the known ones.
    """
    images = open_split(source, SPLIT)
    if images.fingerprint == known.fingerprint:
        raise UserError(f"--against {source.name}: these are the known images themselves; give images of other classes")
    try:
        check_channels(images.image_shape[0], known.image_shape[0])
    except UserError as error:
        raise UserError(f"--against {source.name}: {error}") from None
    if not len(images):
        raise UserError(f"--against {source.name}: there is no image in it")
    return images


def score_files(
    images: Images,
    found: Mapping[str, Scored],  # by inference
    known_classes: Sequence[str],
    file_of: Callable[[str], str],  # name of an inference -> name of its file in the run folder
) -> dict[str, str]:
    """The scores of each image as CSV, by the file's name."""
    return {
        file_of(inference): scores_as_csv(scored, images.class_names, known_classes)
        for inference, scored in found.items()
    }


def draw(
    folder: RunFolder,
    results: Sequence[UnknownResult],  # of one data set
    of_known: Mapping[str, Scored],  # by inference
    of_other: Mapping[str, Scored],
) -> None:
    """A picture for each inference."""
    for inference in of_known:
        chosen = [result for result in results if result.inference == inference]
        if chosen:
            path = folder.path / chosen[0].files["picture"]
            draw_histograms(path, chosen, of_known[inference], of_other[inference])


def _notes(run: TrainedClassifier, source: DataSource, images: Images) -> list[str]:
    fitting = fitting_in_words(images.image_shape, run.image_shape)
    if isinstance(source, UnlabelledFolder):
        fitting = f"the middle square of each picture resized to {source.image_size} x {source.image_size}" + (
            f", {fitting}" if fitting else " (bilinear, antialiased)"
        )
    stopped = unfinished(run.folder)
    return [f"{images.name}: {fitting}."] * bool(fitting) + [stopped] * bool(stopped)
