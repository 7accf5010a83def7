"""Training objectives of a meta-learner: plain, DA, SLA; each says what is trained on and how to infer.

The meta-learner never knows which one it is trained with: an objective turns the episode of views into an ordinary
episode (a *labelling*), and turns the logits back into N-way logits (a *read-out*).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar, NamedTuple

from torch import Tensor
from torch.nn import functional

from episodes.episode import EpisodeBatch
from episodes.errors import UserError
from episodes.transformations import Identity, Transformations
from episodes.views import Labelling, add_views, identity_labelling, joint_labelling, repeated_labelling
from fewshot_sla.inference.aggregation import (
    aggregated_inference,
    as_they_are,
    mean_over_views,
    single_inference,
)


class Inference(NamedTuple):
    """One way to predict: how the episode of views becomes an episode, and how its logits become N-way logits."""

    labelling: Labelling
    read_out: Callable[[Tensor, int], Tensor]  # (logits [T, R', W], M) -> [T, R, N]


class EpisodeObjective(ABC):
    """What a meta-learner is trained on, and how it predicts.

    An objective of one's own derives from this class, sets the class attributes and gives :meth:`label`.

    Attributes:
        inferences: ways to predict, by name.
        primary: name of the inference that the best checkpoint is chosen by.

    Args:
        transformations: the M known transformations.
        label_smoothing: share of the target, 0 to below 0.5, that is spread evenly over the other classes.

    Raises:
        UserError: if the label smoothing is out of its range.
    """

    inferences: ClassVar[Mapping[str, Inference]]
    primary: ClassVar[str] = "single"

    def __init__(self, transformations: Transformations, label_smoothing: float = 0.0) -> None:
        if not 0 <= label_smoothing < 0.5:  # from 0.5 on, the right one of two classes would not be the likelier
            raise UserError(f"label_smoothing must be at least 0 and below 0.5, got {label_smoothing}")
        self.transformations = transformations
        self.label_smoothing = label_smoothing

    def expand(
        self,
        episodes: EpisodeBatch,  # images [T, S, C, H, W], labels 0..N-1
    ) -> EpisodeBatch:
        """The episodes that the meta-learner is trained on."""
        return self.label(add_views(episodes, self.transformations))

    @abstractmethod
    def label(
        self,
        views: EpisodeBatch,  # items [T, S, M, *item], labels 0..N-1
    ) -> EpisodeBatch:  # items [T, S', *item], labels 0..ways-1
        """The labelling that training episodes go through."""

    def loss(
        self,
        logits: Tensor,  # [T, R, W] float
        labels: Tensor,  # [T, R] int64, 0..W-1
    ) -> Tensor:  # scalar
        """Mean cross-entropy over episodes, queries and views (the 1/M of Lee et al., eq. 2 and 3)."""
        ways = logits.shape[-1]
        # torch spreads its smoothing over all W classes, MetaOptNet over the other W - 1: e' = e * W / (W - 1).
        smoothing = self.label_smoothing * ways / (ways - 1)
        return functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), label_smoothing=smoothing)


class Plain(EpisodeObjective):
    """The meta-learner as it is: no transformations.

    Args:
        label_smoothing: share of the target, 0 to below 0.5, that is spread evenly over the other classes.
    """

    inferences: ClassVar = {"single": Inference(identity_labelling, as_they_are)}

    def __init__(self, label_smoothing: float = 0.0) -> None:
        super().__init__(Identity(), label_smoothing)

    def label(self, views: EpisodeBatch) -> EpisodeBatch:
        """The episode as it was."""
        return identity_labelling(views)


class DA(EpisodeObjective):
    """Data augmentation: every transformed copy keeps the label, N ways and K*M shots (Lee et al., eq. 2).

    Its single inference is the plain episode; its aggregated inference is test-time augmentation: all copies in the
    support, the mean logit over the copies of the query.

    Args:
        transformations: the M known transformations.
        label_smoothing: share of the target, 0 to below 0.5, that is spread evenly over the other classes.
    """

    inferences: ClassVar = {
        "single": Inference(identity_labelling, as_they_are),
        "aggregated": Inference(repeated_labelling, mean_over_views),
    }

    def label(self, views: EpisodeBatch) -> EpisodeBatch:
        """N ways, K*M shots."""
        return repeated_labelling(views)


class SLA(EpisodeObjective):
    """Self-supervised label augmentation: joint labels, N*M ways and K shots (Lee et al., ICML 2020, eq. 3).

    Its inferences are SLA+SI (single) and SLA+AG (aggregated, eq. 4).

    Args:
        transformations: the M known transformations.
        label_smoothing: share of the target, 0 to below 0.5, that is spread evenly over the other classes.
    """

    inferences: ClassVar = {
        "single": Inference(joint_labelling, single_inference),
        "aggregated": Inference(joint_labelling, aggregated_inference),
    }
    primary = "aggregated"

    def label(self, views: EpisodeBatch) -> EpisodeBatch:
        """N*M ways, K shots."""
        return joint_labelling(views)
