"""A transductive head: prototypes that move towards the queries of the episode (soft k-means).

It says so with one attribute; results, tables and predictions then do, too. Check it, from the root of the checkout,
train with it, and predict::

    python -m fewshot_sla.check_head examples.transductive_head.SoftKMeansHead
    python -m fewshot_sla.meta_train --learner.head=examples.transductive_head.SoftKMeansHead --run_folder runs/kmeans
    python -m fewshot_sla.predict runs/kmeans --transductive true --support DIR --query DIR
"""

from torch import Tensor

from fewshot_sla.heads import ScaledHead
from fewshot_sla.heads.base import one_hot
from fewshot_sla.heads.protonet import class_means, nearest_mean_logits


class SoftKMeansHead(ScaledHead):
    """Prototypes, refined by the queries in the shares in which they belong to each class (Ren et al. 2018).

    Args:
        steps: how often the prototypes move.
    """

    transductive = True

    def __init__(self, steps: int = 3):
        super().__init__()
        self.steps = steps

    def scores(
        self,
        support: Tensor,  # [T, S, D]
        support_labels: Tensor,  # [T, S] int64
        query: Tensor,  # [T, R, D]
        ways: int,
    ) -> Tensor:  # [T, R, ways]
        """Nearness to the prototypes after they have moved."""
        members = one_hot(support_labels, ways, support.dtype)  # [T, S, ways]
        means = class_means(support, support_labels, ways)  # [T, ways, D]
        for _ in range(self.steps):
            shares = (self.scale * nearest_mean_logits(means, query)).softmax(-1)  # [T, R, ways]
            counts = members.sum(1) + shares.sum(1)
            means = (members.mT @ support + shares.mT @ query) / counts[..., None]
        return nearest_mean_logits(means, query)
