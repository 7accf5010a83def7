"""One trained model by many inferences at once, image by image or episode by episode, for either wing."""

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
from lightning_fabric import Fabric
from numpy.typing import NDArray

from episodes.datasets.base import load_split, open_split
from episodes.episode import EpisodeSpec
from episodes.images.base import Images
from episodes.images.labelled import LabelledImages
from episodes.progress import OnProgress
from episodes.source import EpisodeSource
from fewshot_sla.classification.classifier import Classifier
from fewshot_sla.classification.kind import CLASSIFICATION
from fewshot_sla.classification.predictions import counted, images_per_pass, predict_classes
from fewshot_sla.classification.recipe import Classification
from fewshot_sla.classification.testing import check_images
from fewshot_sla.inference import Inference, with_inferences
from fewshot_sla.meta.kind import META
from fewshot_sla.meta.learners.base import MetaLearner
from fewshot_sla.meta.protocol import evaluate
from fewshot_sla.meta.recipe import MetaTraining
from fewshot_sla.training.recipe import Hardware
from fewshot_sla.training.trained import TrainedRun

Accuracies = dict[str, NDArray[np.float64]]  # by inference: [U], of each image 0 or 1, of each episode 0..1


@dataclass(frozen=True)
class TestSetting:
    """What a model is tested on; all but the split is for meta-learners.

    Attributes:
        split: of the run's data.
        episodes: how many.
        seed: which.
        spec: size of the episodes; None for a classifier.
    """

    __test__ = False  # no test, whatever pytest thinks of its name

    split: str
    episodes: int = 0
    seed: int = 0
    spec: EpisodeSpec | None = None


def accuracies_at_once(
    run: TrainedRun[Any, Any],
    images: Images,
    inferences: Mapping[str, Inference],
    setting: TestSetting,
    hardware: Hardware,
    fabric: Fabric,
    on_progress: OnProgress,
) -> Accuracies:
    """The accuracy on each image, or on each episode, by every inference; the network runs once for all of them.

    Args:
        run: of either wing; it is moved to the device.
        images: of the split, as :func:`images_of` opens them.
        inferences: by name; those of the objective have no say.
        setting: what to test on.
        hardware: as asked for.
        fabric: what it runs on.
        on_progress: called with what is counted, how many are done, how many there are.

    Raises:
        UserError: if the images do not fit the run, or cannot fill the episodes.
    """
    hardware.prepare(run.to(fabric.device).model)
    way = _BY_WING[_wing(run)]
    return way(run, images.on(fabric.device, hardware.placement), inferences, setting, fabric, on_progress)


def images_of(run: TrainedRun[Any, Any], split: str) -> Images:
    """A split of the data of a run: of a meta-learner in memory, where episodes are drawn.

    Raises:
        UserError: if there is no such split, or it does not fit the run.
    """
    if _wing(run) == META.wing:
        return load_split(run.recipe.data, split)
    images = open_split(run.recipe.data, split)
    check_images(run, images)
    return images


def _wing(run: TrainedRun[Any, Any]) -> str:
    return {kind.recipe: kind.wing for kind in (META, CLASSIFICATION)}[type(run.recipe)]


def _of_images(
    run: TrainedRun[Classification, Classifier],
    images: Images,
    inferences: Mapping[str, Inference],
    setting: TestSetting,
    fabric: Fabric,
    on_progress: OnProgress,
) -> Accuracies:
    objective = with_inferences(run.recipe.objective, inferences)
    right: dict[str, list[NDArray[np.float64]]] = {name: [] for name in inferences}
    with closing(images.batches(1, 0)) as source:
        batches = source.in_order(batch_size=images_per_pass(objective, images.image_shape))
        for batch in counted(batches, len(images), on_progress):
            # Batch by batch: the probabilities of many inferences of all images would be many.
            found = predict_classes(run.model, objective, [batch], run.normalization, autocast=fabric.autocast)
            for name, parts in right.items():
                parts.append(found.right(name).numpy().astype(np.float64))
    return {name: np.concatenate(parts) for name, parts in right.items()}


def _of_episodes(
    run: TrainedRun[MetaTraining, MetaLearner],
    images: LabelledImages,
    inferences: Mapping[str, Inference],
    setting: TestSetting,
    fabric: Fabric,
    on_progress: OnProgress,
) -> Accuracies:
    assert setting.spec is not None
    source = EpisodeSource(images, setting.spec, setting.seed, run.normalization)
    outcomes = evaluate(
        run.model,
        with_inferences(run.recipe.objective, inferences),
        source,
        range(setting.episodes),
        autocast=fabric.autocast,
        on_progress=on_progress,
    )
    return {name: outcome.accuracies.numpy() for name, outcome in outcomes.items()}


_BY_WING: dict[str, Callable[..., Accuracies]] = {META.wing: _of_episodes, CLASSIFICATION.wing: _of_images}
