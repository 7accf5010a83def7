"""A head that adds a term to the loss: prototypes, whose support rows are drawn towards the mean of their class.

Check it, from the root of the checkout, and train with it::

    python -m fewshot_sla.check_head examples.auxiliary_loss.CompactHead
    python -m fewshot_sla.meta_train --learner.head=examples.auxiliary_loss.CompactHead --learner.head.weight=0.1
"""

import torch
from torch import Tensor

from episodes.targets import Targets
from fewshot_sla.heads import ProtoNetHead
from fewshot_sla.heads.protonet import class_means


class CompactHead(ProtoNetHead):
    """ProtoNet with ``weight * mean over the support of ||x - c||^2 / D``, c the mean of the row's class, in the loss.

    Args:
        weight: of this term.
    """

    def __init__(self, weight: float = 0.1):
        super().__init__()
        self.weight = weight

    def logits_with_loss(
        self,
        support: Tensor,  # [T, S, D]
        support_labels: Tensor,  # [T, S] int64
        query: Tensor,  # [T, R, D]
        query_targets: Targets,  # [T, R]: for a term about the queries
        ways: int,
    ) -> tuple[Tensor, Tensor | None]:  # [T, R, ways], scalar
        """What training asks in place of ``logits``; nothing needs to be kept in the module."""
        means = class_means(support, support_labels, ways)
        own = torch.take_along_dim(means, support_labels[..., None], dim=1)
        return self.logits(support, support_labels, query, ways), self.weight * (support - own).square().mean()
