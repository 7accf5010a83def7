"""Training objectives of a meta-learner: plain, DA, SLA; each says what is trained on and how to infer.

The meta-learner never knows which one it is trained with: an objective's *labelling* turns the episode of views into an
ordinary episode, and an *inference* turns its logits back into N-way logits.
"""

from abc import ABC
from collections.abc import Mapping, Sequence
from typing import ClassVar, Protocol

from torch import Tensor
from torch.nn import functional

from episodes.episode import EpisodeBatch
from episodes.errors import UserError
from episodes.labelling import Labelling, identity_labelling, joint_labelling, repeated_labelling
from episodes.targets import Targets
from episodes.transformations import Identity, Transformations
from fewshot_sla.inference import CLASS_AGGREGATED, CLASS_SINGLE, JOINT_AGGREGATED, JOINT_SINGLE, Inference
from fewshot_sla.inference.accuracy import accuracy


class ViewSource(Protocol):
    """Where episodes of views come from: an EpisodeSource, or Learn2LearnEpisodes."""

    def views(self, numbers: Sequence[int] | range, transformations: Transformations) -> EpisodeBatch:
        """T episodes with items [T, S, M, C, H, W], normalised."""


class EpisodeObjective(ABC):
    """What a meta-learner is trained on, and how it predicts.

    An objective of one's own derives from this class and sets the class attributes.

    Attributes:
        labelling: how the views of training episodes are labelled.
        inferences: ways to predict, by name.
        primary: name of the inference that the best checkpoint is chosen by.

    Args:
        transformations: the M known transformations.
        label_smoothing: share of the target, 0 to below 0.5, that is spread evenly over the other classes.

    Raises:
        UserError: if the label smoothing is out of its range.
    """

    labelling: ClassVar[Labelling]
    inferences: ClassVar[Mapping[str, Inference]]
    primary: ClassVar[str] = "single"

    def __init__(self, transformations: Transformations, label_smoothing: float = 0.0) -> None:
        if not 0 <= label_smoothing < 0.5:  # from 0.5 on, the right one of two classes would not be the likelier
            raise UserError(f"label_smoothing must be at least 0 and below 0.5, got {label_smoothing}")
        self.transformations = transformations
        self.label_smoothing = label_smoothing

    def episodes(
        self,
        source: ViewSource,
        numbers: Sequence[int] | range,  # T numbers of episodes
    ) -> EpisodeBatch:  # items [T, S', C, H, W] and [T, R', C, H, W], labels 0..ways-1
        """The episodes with these numbers as the meta-learner is trained on them: all views, labelled.

        Raises:
            UserError: if the transformations cannot take the images.
        """
        return self.labelling(source.views(numbers, self.transformations))

    def loss(
        self,
        logits: Tensor,  # [T, R, W] float
        targets: Targets,  # [T, R], 0..W-1
    ) -> Tensor:  # scalar
        """Mean cross-entropy over episodes, queries and views (the 1/M of Lee et al., ICML 2020, eq. 2 and 3).

        Of a mixture it is the cross-entropies of both labels in their shares.
        """
        ways = logits.shape[-1]
        # torch spreads its smoothing over all W classes, MetaOptNet over the other W - 1: e' = e * W / (W - 1).
        smoothing = self.label_smoothing * ways / (ways - 1)
        rows, flat = logits.flatten(0, 1), targets.each(Tensor.flatten)
        if not flat.is_mixed:
            return functional.cross_entropy(rows, flat.labels, label_smoothing=smoothing)
        return flat.mean_of(
            lambda labels: functional.cross_entropy(rows, labels, label_smoothing=smoothing, reduction="none")
        ).mean()

    def accuracy(
        self,
        logits: Tensor,  # [T, R, W] float
        targets: Targets,  # [T, R], 0..W-1
    ) -> Tensor:  # scalar float32
        """Share of right answers among the labels that are trained on; of a mixture the heavier one is right."""
        return accuracy(logits, targets)


class Plain(EpisodeObjective):
    """The meta-learner as it is: no transformations.

    Args:
        label_smoothing: share of the target, 0 to below 0.5, that is spread evenly over the other classes.
    """

    labelling: ClassVar[Labelling] = identity_labelling
    inferences: ClassVar = {"single": CLASS_SINGLE}

    def __init__(self, label_smoothing: float = 0.0) -> None:
        super().__init__(Identity(), label_smoothing)


class DA(EpisodeObjective):
    """Data augmentation: every transformed copy keeps the label, N ways and K*M shots (Lee et al., eq. 2).

    Its single inference is the plain episode; its aggregated inference is test-time augmentation: all copies in the
    support, the mean logit over the copies of the query.
    """

    labelling: ClassVar[Labelling] = repeated_labelling
    inferences: ClassVar = {"single": CLASS_SINGLE, "aggregated": CLASS_AGGREGATED}


class SLA(EpisodeObjective):
    """Self-supervised label augmentation: joint labels, N*M ways and K shots (Lee et al., ICML 2020, eq. 3).

    Its inferences are SLA+SI (single) and SLA+AG (aggregated, eq. 4).
    """

    labelling: ClassVar[Labelling] = joint_labelling
    inferences: ClassVar = {"single": JOINT_SINGLE, "aggregated": JOINT_AGGREGATED}
    primary = "aggregated"
