"""Class logits and probabilities of a classifier on many images, by every inference of its objective."""

from collections.abc import Iterable, Iterator, Sequence
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
from fewshot_sla.inference.passes import images_at_once
from fewshot_sla.training.modes import Autocast, evaluation_mode

_VIEWS_PER_PASS = 1024  # views that go through the backbone at once, of images of up to 64 x 64 pixels
_IMAGES_PER_PART = 1024


class Predictions(NamedTuple):
    """What a classifier says of n images, each in K crops (1 if it is taken as it is).

    Attributes:
        labels: [n] int64, the true classes.
        logits: of every inference: class logits [n, K, N] float32, scaled as the model was trained.
    """

    labels: Tensor
    logits: dict[str, Tensor]

    def probabilities(self, inference: str) -> Tensor:  # [n, N] float32, rows sum to 1
        """Probability of each class: 1/K sum_k softmax(logits of crop k), as Krizhevsky et al. (2012) average crops."""
        return torch.cat(list(self.probabilities_by_part(inference)))

    def probabilities_by_part(self, inference: str) -> Iterator[Tensor]:  # [up to 1024, N] float32, n rows in all
        """The same, some images at a time: of thousands of classes and images all together are a gigabyte."""
        for part in self.logits[inference].split(_IMAGES_PER_PART):
            yield part.softmax(dim=-1).mean(dim=1)

    def right(self, inference: str) -> Tensor:  # [n] bool
        """Whether the most probable class of each image is its own."""
        guesses = [part.argmax(dim=1) for part in self.probabilities_by_part(inference)]
        return torch.cat(guesses) == self.labels


def images_per_pass(
    objective: ClassificationObjective,
    image_shape: Sequence[int],  # (C, H, W)
    crops: int = 1,  # of each image
) -> int:
    """How many images go through the network at once when nothing is learnt; fewer, the larger they are."""
    return images_at_once(image_shape, objective.transformations.m * crops, _VIEWS_PER_PASS)


def predict_classes(
    classifier: Classifier,
    objective: ClassificationObjective,
    batches: Iterable[ImageBatch],
    normalization: Normalization,
    *,
    crops: Crops = as_is,
    autocast: Autocast = nullcontext,
) -> Predictions:
    """Logits of every crop of every image, on the CPU; the classifier is in evaluation mode meanwhile.

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
    for part in predicted_batches(classifier, objective, batches, normalization, crops=crops, autocast=autocast):
        labels.append(part.labels)
        for name, logits in part.logits.items():
            found[name].append(logits)
    # One inference after the other: the parts of each go when they are put together.
    return Predictions(torch.cat(labels), {name: torch.cat(found.pop(name)) for name in list(found)})


def predicted_batches(
    classifier: Classifier,
    objective: ClassificationObjective,
    batches: Iterable[ImageBatch],
    normalization: Normalization,
    *,
    crops: Crops = as_is,
    autocast: Autocast = nullcontext,
) -> Iterator[Predictions]:
    """As :func:`predict_classes`, batch by batch: for who counts, and does not keep, what is said of every image."""
    with evaluation_mode(classifier), torch.no_grad():
        for batch in batches:
            cropped = crops(batch.pixels)  # [B, K, C, H, W]
            logits = logits_of(classifier, objective, cropped.flatten(0, 1), normalization, autocast)
            found = {}
            for name in objective.inferences:
                of_classes = objective.predict(logits, name).float()  # [B*K, N]
                found[name] = of_classes.unflatten(0, cropped.shape[:2]).cpu()
            yield Predictions(batch.labels.cpu(), found)


def logits_of(
    classifier: Classifier,
    objective: ClassificationObjective,
    pixels: Tensor,  # [B, C, H, W] uint8, or float 0..1
    normalization: Normalization,
    autocast: Autocast = nullcontext,
) -> dict[str, Tensor]:  # {output: [B, M, W] float}, from which the objective makes what each view says of the class
    """One pass through the classifier: all views of some images."""
    views = normalized_views(pixels, objective.transformations, normalization)  # [B, M, C, H, W]
    with autocast():
        logits: dict[str, Tensor] = classifier(views)
    return logits


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
