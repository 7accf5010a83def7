"""The contract of a meta-learner: it maps an episode to the logits of its queries."""

from abc import ABC, abstractmethod
from typing import NamedTuple

from torch import Tensor, nn

from episodes.episode import EpisodeBatch

CALIBRATION_EPISODES = 4
"""Episodes that a start is calibrated on, whatever the number of processes. One would do: the scales that single
episodes give differ by some ten percent."""


class WithLoss(NamedTuple):
    """Logits, and an auxiliary loss that training adds to theirs."""

    logits: Tensor  # [T, R, W] float32
    loss: Tensor  # scalar: the mean over the episodes, weighted already


class MetaLearner(nn.Module, ABC):
    """Maps T episodes to query logits [T, R, W]; W is ``episodes.ways``, N or N*M, and the learner need not know which.

    A meta-learner of one's own derives from this class and gives :meth:`forward`; that is all it must do.

    If its first stage looks at each image by itself, it may say so, and evaluation then runs that stage only once for
    every view of every image, however many episodes share it: it gives :meth:`items` (an image's features) and
    :meth:`logits` (from episodes of features), and sets ``has_features = True``. In evaluation mode::

        logits(episodes of items(images)) == forward(episodes of images)

    Where the loss is more than a function of the query logits, :meth:`forward` gives :class:`WithLoss` in training
    mode, and the logits alone in evaluation mode. ``episodes.query_targets`` are for the loss, not for the logits.

    Attributes:
        has_features: items are features, to be computed once and kept; else they are the images themselves.
        takes_mean_items: whether the mean of items, say of several crops of an image, is an item.
        transductive: whether the logits of a query depend on the other queries of its episode; results say so, and
            ``predict`` asks for leave.
    """

    has_features: bool = False
    takes_mean_items: bool = True
    transductive: bool = False

    def told(
        self,
        image_shape: tuple[int, int, int],  # (C, H, W)
    ) -> None:
        """Learn what the images will be; nothing, unless overridden.

        Called before all weights of a run are loaded (those of a backbone may be there), before there is an optimiser,
        and before the learner is moved to a device.
        Told the same again, it does nothing. What it draws at random comes from torch's generator, which the caller
        seeds.

        Raises:
            UserError: it cannot take such images, or was told of others before.
        """

    @abstractmethod
    def forward(
        self,
        episodes: EpisodeBatch,  # support [T, S, C, H, W], query [T, R, C, H, W], normalised floats
    ) -> Tensor | WithLoss:  # [T, R, W] float32
        """Logits of every query for every class; in training mode perhaps with an auxiliary loss."""

    def items(
        self,
        images: Tensor,  # [..., C, H, W] float, normalised
    ) -> Tensor:  # [..., *item] float
        """What an episode is made of for :meth:`logits`: features of the images, or as here the images."""
        return images

    def logits(
        self,
        episodes: EpisodeBatch,  # support [T, S, *item], query [T, R, *item]
    ) -> Tensor:  # [T, R, W] float32
        """Logits of every query for every class, from episodes of items; ``self(episodes)`` if these are images."""
        return self(episodes)

    def calibrate(
        self,
        episodes: EpisodeBatch,  # support [T, S, C, H, W], query [T, R, C, H, W], normalised floats
    ) -> None:
        """Prepare for training on episodes such as these, the first ones; nothing, unless overridden.

        Called at most once, before the first step of a new training, with CALIBRATION_EPISODES episodes. The outcome
        must be a function of the weights and the episodes alone, so that it is the same in each of several processes.
        """

    @property
    def needs_base_mean(self) -> bool:
        """Whether the learner uses the mean item of the training images; see :meth:`keep_base_mean`."""
        return False

    def keep_base_mean(
        self,
        mean: Tensor,  # [*item] float
    ) -> None:
        """Told the mean item of the training images before each validation; nothing, unless overridden.

        What it keeps must be buffers, so that it is saved with the weights.
        """
