"""Heads on feature maps: they compare images place by place, where others see one vector."""

from abc import abstractmethod

import torch
from torch import Tensor

from episodes.errors import UserError
from fewshot_sla.backbones.shape import FeatureShape
from fewshot_sla.heads.base import ScaledHead

_BUDGET = 2**26  # numbers of all pairs of a query and a class that a pass in evaluation mode may make


class MapHead(ScaledHead):
    """A head on feature maps; derive from it and give :meth:`map_scores`.

    The contract stays that of every head: features are vectors [T, S, D], which backbones such as Conv4 and ResNet12
    make of a map [C, h, w] by flattening it. The head is told the shape and unfolds them.

    In evaluation mode episodes are scored some at a time, so that the maps of all pairs fit into memory. In training
    mode they go together, for BatchNorm.
    """

    takes_mean_features = False  # crops of an image show other places
    tried_on = FeatureShape(32, 2, 3)

    def build(self, shape: FeatureShape) -> None:
        """Refuse what is no map.

        Raises:
            UserError: the features have one place only.
        """
        if not shape.is_map:
            raise UserError(
                f"{type(self).__name__} compares feature maps, but the features are of shape {shape}: keep the maps of "
                "the backbone (pooled: false, for ResNet12), or take larger images or fewer blocks "
                "(fewshot_sla.backbones.ConvNet)"
            )

    def scores(self, support: Tensor, support_labels: Tensor, query: Tensor, ways: int) -> Tensor:
        """:meth:`map_scores` of the unfolded features."""
        maps, queries = self.unfolded(support), self.unfolded(query)
        if self.training:
            return self.map_scores(maps, support_labels, queries, ways)
        at_once = max(1, _BUDGET // (queries[0].numel() * ways))
        parts = zip(maps.split(at_once), support_labels.split(at_once), queries.split(at_once), strict=True)
        return torch.cat([self.map_scores(rows, labels, asked, ways) for rows, labels, asked in parts])

    @abstractmethod
    def map_scores(
        self,
        support: Tensor,  # [T, S, C, h, w] float32 or float64
        support_labels: Tensor,  # [T, S] int64, 0..ways-1, every class present
        query: Tensor,  # [T, R, C, h, w]
        ways: int,
    ) -> Tensor:  # [T, R, W]
        """The logits at scale 1."""

    def unfolded(
        self,
        features: Tensor,  # [T, n, D]
    ) -> Tensor:  # [T, n, C, h, w]
        """Features as the maps that they are.

        Raises:
            UserError: the head was not told their shape, or another one.
        """
        if self.shape is None:
            raise UserError(
                f"{type(self).__name__} was not told the shape of the feature maps; call told(FeatureShape(C, h, w))"
            )
        if features.shape[-1] != self.shape.numbers:
            raise UserError(
                f"{type(self).__name__} was told feature maps {self.shape}, which are {self.shape.numbers} numbers; "
                f"the features have {features.shape[-1]}"
            )
        return features.unflatten(-1, tuple(self.shape))
