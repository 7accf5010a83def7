"""How known every image of a set looks to a classifier, by every inference and score, batch by batch."""

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from episodes.batches.batch import ImageBatch
from episodes.images.fitting import fitted
from episodes.images.normalization import Normalization
from fewshot_sla.classification.classifier import Classifier
from fewshot_sla.classification.objectives import ClassificationObjective
from fewshot_sla.classification.predictions import logits_of
from fewshot_sla.inference.scores import scores_of
from fewshot_sla.training.modes import Autocast, evaluation_mode


@dataclass(frozen=True)
class Scored:
    """What one inference says of n images.

    Attributes:
        labels: [n] int64, their classes in their own data set.
        predicted: [n] int64, the known class that each is taken for.
        scores: [n] float64 by the name of the score, larger for images that look known.
    """

    labels: Tensor
    predicted: Tensor
    scores: dict[str, Tensor]


def score_images(
    classifier: Classifier,
    objective: ClassificationObjective,
    batches: Iterable[ImageBatch],
    normalization: Normalization,
    *,
    image_shape: tuple[int, int, int],  # (C, H, W) of the images that the classifier was trained on
    inferences: Sequence[str],
    autocast: Autocast = nullcontext,
) -> dict[str, Scored]:
    """The scores of every image by each inference, on the CPU; each image goes through the network once.

    Of the class logits [B, V, N] by view no more is kept at a time than those of one batch.

    Args:
        classifier: on the device of the batches; it is in evaluation mode meanwhile.
        objective: says how to infer, and with which transformations.
        batches: images of any size, grey or in colour; they are brought into the shape.
        normalization: of the images that the classifier was trained on, on the device of the batches.
        image_shape: see above.
        inferences: names of inferences of the objective.
        autocast: context in which the classifier runs (mixed precision), made anew for each pass.

    Raises:
        UserError: if the images have channels that cannot be made into those of the network.
    """
    kept: dict[str, list[Scored]] = {name: [] for name in inferences}
    with evaluation_mode(classifier), torch.no_grad():
        for batch in batches:
            pixels = fitted(batch.pixels, image_shape)
            logits = logits_of(classifier, objective, pixels, normalization, autocast)
            for name in inferences:
                kept[name].append(_scored(objective, logits, name, batch.labels))
    return {name: _joined(parts) for name, parts in kept.items()}


def _scored(objective: ClassificationObjective, logits: dict[str, Tensor], inference: str, labels: Tensor) -> Scored:
    # In float32 all probabilities that are sure enough are 1, and cannot be told apart any more; MPS has no float64.
    by_view = objective.by_view(logits, inference).cpu().double()  # [B, V, N]
    combine = objective.inferences[inference].combine
    return Scored(labels.cpu(), combine(by_view).argmax(dim=-1), scores_of(by_view, combine))


def _joined(parts: Sequence[Scored]) -> Scored:
    return Scored(
        torch.cat([part.labels for part in parts]),
        torch.cat([part.predicted for part in parts]),
        {name: torch.cat([part.scores[name] for part in parts]) for name in parts[0].scores},
    )
