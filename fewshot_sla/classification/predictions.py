"""Class probabilities of a classifier on many images, by every inference of its objective."""

from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from typing import NamedTuple

import torch
from torch import Tensor

from episodes.batches.batch import ImageBatch
from episodes.images.crops import Crops, as_is
from episodes.images.normalization import Normalization
from episodes.progress import OnProgress
from episodes.views import normalized_views
from fewshot_sla.classification.classifier import Classifier
from fewshot_sla.classification.objectives import ClassificationObjective
from fewshot_sla.training.modes import Autocast, evaluation_mode

VIEWS_PER_PASS = 1024  # views that go through the backbone at once


class Predictions(NamedTuple):
    """What a classifier says of n images."""

    labels: Tensor  # [n] int64, the true classes
    probabilities: dict[str, Tensor]  # of every inference: [n, N] float32, rows sum to 1

    def right(self, inference: str) -> Tensor:  # [n] bool
        """Whether the most probable class of each image is its own."""
        return self.probabilities[inference].argmax(dim=1) == self.labels


def images_per_pass(objective: ClassificationObjective, crops: int = 1) -> int:
    """How many images go through the network at once when nothing is learnt."""
    return max(1, VIEWS_PER_PASS // (objective.transformations.m * crops))


def predict_classes(
    classifier: Classifier,
    objective: ClassificationObjective,
    batches: Iterable[ImageBatch],
    normalization: Normalization,
    *,
    crops: Crops = as_is,
    autocast: Autocast = nullcontext,
) -> Predictions:
    """Probabilities of every image, on the CPU; the classifier is in evaluation mode meanwhile.

    With several crops of an image, the probabilities are the mean over its crops.

    Args:
        classifier: on the device of the batches.
        objective: says how to infer, and with which transformations.
        batches: images with their labels.
        normalization: of the images that the classifier was trained on, on the device of the batches.
        crops: pixels [B, C, H, W] -> [B, K, C, H, W].
        autocast: context in which the classifier runs (mixed precision), made anew for each pass.
    """
    labels: list[Tensor] = []
    found: dict[str, list[Tensor]] = {name: [] for name in objective.inferences}
    with evaluation_mode(classifier), torch.no_grad():
        for batch in batches:
            cropped = crops(batch.pixels)  # [B, K, C, H, W]
            views = normalized_views(cropped.flatten(0, 1), objective.transformations, normalization)  # [B*K, M, ...]
            with autocast():
                logits = classifier(views)
            for name in found:
                belief = objective.predict(logits, name).float().softmax(dim=-1)  # [B*K, N]
                found[name].append(belief.unflatten(0, cropped.shape[:2]).mean(dim=1).cpu())
            labels.append(batch.labels.cpu())
    return Predictions(torch.cat(labels), {name: torch.cat(parts) for name, parts in found.items()})


def counted(
    batches: Iterable[ImageBatch],
    total: int,  # images of all batches
    on_progress: OnProgress,
) -> Iterator[ImageBatch]:
    """The batches; when the next one is asked for, it is told how many images are done."""
    done = 0
    for batch in batches:
        yield batch
        done += len(batch.labels)
        on_progress("images", done, total)


def ensemble(members: Iterable[Predictions]) -> Predictions:
    """Independent ensemble (IE): the mean of the members' probabilities, inference by inference.

    Only inferences that all members have are kept.
    """
    members = list(members)
    common = [name for name in members[0].probabilities if all(name in other.probabilities for other in members)]
    mean = {name: torch.stack([member.probabilities[name] for member in members]).mean(dim=0) for name in common}
    return Predictions(members[0].labels, mean)
