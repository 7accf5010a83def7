"""EmbeddingLearner: a backbone embeds every image, a head does the rest."""

from typing import Literal

import torch
from torch import Tensor

from episodes.episode import EpisodeBatch
from fewshot_sla.backbones.base import Backbone
from fewshot_sla.heads.base import Head
from fewshot_sla.meta.learners.base import MetaLearner


class EmbeddingLearner(MetaLearner):
    """Backbone, then head: ``logits = head(embed(support), support_labels, embed(query), ways)``.

    Support and query go through the backbone in one pass, so that in training BatchNorm sees the whole episode.

    Args:
        backbone: embeds images [B, C, H, W] as features [B, D].
        head: fits the support features and scores the queries.
        passes: whether support and query go through the backbone together or one after the other.
    """

    def __init__(self, backbone: Backbone, head: Head, passes: Literal["joint", "separate"] = "joint") -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head

    def embed(
        self,
        images: Tensor,  # [..., C, H, W] float, normalised
    ) -> Tensor:  # [..., D] float, in the precision the backbone runs in
        """Features of images, with any leading axes."""
        features = self.backbone(images.reshape(-1, *images.shape[-3:]))
        return features.reshape(images.shape[:-3] + features.shape[1:])

    def forward(
        self,
        episodes: EpisodeBatch,  # support [T, S, C, H, W], query [T, R, C, H, W], normalised floats
    ) -> Tensor:  # [T, R, W] float32
        """Logits of every query for every class."""
        rows = episodes.support.shape[1]
        features = self.embed(torch.cat([episodes.support, episodes.query], dim=1))
        return self.head(features[:, :rows], episodes.support_labels, features[:, rows:], episodes.ways)
