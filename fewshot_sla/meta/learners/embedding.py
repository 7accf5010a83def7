"""EmbeddingLearner: a backbone embeds every image, a head does the rest."""

import copy
from typing import Literal, get_args

import torch
from torch import Tensor

from episodes.episode import EpisodeBatch
from episodes.errors import UserError
from fewshot_sla.backbones.base import Backbone
from fewshot_sla.heads.base import Head
from fewshot_sla.meta.learners.base import MetaLearner, WithLoss
from fewshot_sla.training.randomness import seeded

Passes = Literal["joint", "separate"]


class EmbeddingLearner(MetaLearner):
    """Backbone, then head: ``logits = head(embed(support), support_labels, embed(query), ways)``.

    In training mode, BatchNorm normalises by the statistics of what goes through the backbone at once. ``passes`` says
    what that is:

    * "joint": support and query of all T episodes. One pass is faster, and both are normalised alike, as in evaluation.
      The support feels which queries there are, but only in training.
    * "separate": the support of all T episodes, then their queries, each with statistics of its own, as in the program
      of MetaOptNet (Lee et al. 2019, arXiv 1904.03758; kjunelee/MetaOptNet, train.py) and hence in the published
      figures of SLA. The running statistics move twice a step, and the few support images of a 1-shot episode are
      normalised by few.

    In evaluation mode both are the same.

    Args:
        backbone: embeds images [B, C, H, W] as features [B, D].
        head: fits the support features and scores the queries.
        passes: whether support and query go through the backbone together or one after the other.

    Raises:
        UserError: if ``passes`` is neither.
    """

    has_features = True

    def __init__(self, backbone: Backbone, head: Head, passes: Passes = "joint") -> None:
        super().__init__()
        if passes not in get_args(Passes):
            raise UserError(f"EmbeddingLearner: passes must be one of {', '.join(get_args(Passes))}, got {passes!r}")
        self.backbone = backbone
        self.head = head
        self.passes = passes

    def told(self, image_shape: tuple[int, int, int]) -> None:
        """Tell the head what the backbone makes of such images."""
        self.head.told(self.backbone.feature_shape(image_shape))

    def embed(
        self,
        images: Tensor,  # [..., C, H, W] float, normalised
    ) -> Tensor:  # [..., D] float, in the precision the backbone runs in
        """Features of images, with any leading axes."""
        features = self.backbone(images.reshape(-1, *images.shape[-3:]))
        return features.reshape(images.shape[:-3] + features.shape[1:])

    def items(self, images: Tensor) -> Tensor:
        """The features; see :meth:`embed`."""
        return self.embed(images)

    def logits(self, episodes: EpisodeBatch) -> Tensor:
        """The head's logits, from episodes of features."""
        return self.head(episodes.support, episodes.support_labels, episodes.query, episodes.ways)

    def forward(
        self,
        episodes: EpisodeBatch,  # support [T, S, C, H, W], query [T, R, C, H, W], normalised floats
    ) -> Tensor | WithLoss:  # [T, R, W] float32
        """Logits of every query for every class; in training mode with the head's auxiliary loss, if it has one."""
        given = self._embed_episodes(episodes)
        if not self.training:
            return self.logits(given)
        logits, loss = self.head.forward_with_loss(
            given.support, given.support_labels, given.query, given.query_targets, given.ways
        )
        return logits if loss is None else WithLoss(logits, loss)

    @property
    def takes_mean_items(self) -> bool:  # type: ignore[override]
        """Whether the head takes mean features."""
        return self.head.takes_mean_features

    @property
    def transductive(self) -> bool:  # type: ignore[override]
        """Whether the head is."""
        return self.head.transductive

    def calibrate(self, episodes: EpisodeBatch) -> None:
        """Tell the head the features that these episodes have in training mode; see :meth:`Head.calibrate`.

        Weights, running statistics and torch's generators stay as they are.
        """
        twin = copy.deepcopy(self).train()  # BatchNorm moves its running statistics whenever it trains: not ours
        with torch.no_grad(), seeded(0, device=episodes.support.device):
            features = twin._embed_episodes(episodes)
        self.head.calibrate(features.support, features.support_labels, features.query, features.ways)

    @property
    def needs_base_mean(self) -> bool:
        """Whether the head does."""
        return self.head.needs_base_mean

    def keep_base_mean(self, mean: Tensor) -> None:
        """Hand it to the head."""
        self.head.keep_base_mean(mean)

    def _embed_episodes(
        self,
        episodes: EpisodeBatch,  # support [T, S, C, H, W], query [T, R, C, H, W]
    ) -> EpisodeBatch:  # support [T, S, D], query [T, R, D]
        if self.passes == "separate":
            return episodes._replace(support=self.embed(episodes.support), query=self.embed(episodes.query))
        rows = episodes.support.shape[1]
        features = self.embed(torch.cat([episodes.support, episodes.query], dim=1))
        return episodes._replace(support=features[:, :rows], query=features[:, rows:])
