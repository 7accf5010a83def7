"""Leaving one out of a prototypical network: only the mean of one class changes, so nothing else is computed anew."""

from collections.abc import Callable

import torch
from torch import Tensor

from episodes.views import identity_labelling, joint_labelling
from fewshot_sla.heads.protonet import ProtoNetHead
from fewshot_sla.inference.aggregation import aggregated_inference, as_they_are, single_inference
from fewshot_sla.meta.learners.base import MetaLearner
from fewshot_sla.meta.learners.embedding import EmbeddingLearner
from fewshot_sla.meta.objectives import Inference
from fewshot_sla.training.modes import evaluation_mode

# From the conditional logits of the views [n, M, N] to the prediction [n, N], where views do not meet in a class.
_READ_OUTS: dict[tuple[object, object], Callable[[Tensor], Tensor]] = {
    (joint_labelling, aggregated_inference): lambda logits: logits.mean(dim=1),
    (joint_labelling, single_inference): lambda logits: logits[:, 0],
    (identity_labelling, as_they_are): lambda logits: logits[:, 0],
}


def by_prototypes(learner: MetaLearner, inference: Inference) -> bool:
    """Whether :func:`leave_out_of_prototypes` gives what the head itself would give."""
    # Not a derived class: it may do anything.
    is_protonet = isinstance(learner, EmbeddingLearner) and type(learner.head) is ProtoNetHead
    return is_protonet and tuple(inference) in _READ_OUTS


def leave_out_of_prototypes(
    learner: MetaLearner,
    inference: Inference,
    items: Tensor,  # [S, M, D]
    labels: Tensor,  # [S] int64, 0..ways-1
    left: Tensor,  # [n] int64, rows of classes with two rows or more
    ways: int,
) -> Tensor:  # [n, N]
    """Logits of each of these rows when it alone is left out of the support.

    With class sums s and counts k, the mean of the class of row x without x is (s - x) / (k - 1). Of the joint labels
    (y, j) only those with the j of the view are compared, so each view is an episode of N classes of its own.
    """
    counts = torch.bincount(labels, minlength=ways)
    sums = items.new_zeros(ways, *items.shape[1:]).index_add_(0, labels, items)  # [N, M, D]
    own = labels[left]
    means = (sums / counts[:, None, None]).repeat(len(left), 1, 1, 1)  # [n, N, M, D]
    means[torch.arange(len(left), device=left.device), own] = (sums[own] - items[left]) / (counts[own] - 1)[
        :, None, None
    ]
    support = means.transpose(1, 2).flatten(0, 1)  # [n*M, N, D]
    query = items[left].flatten(0, 1).unsqueeze(1)  # [n*M, 1, D]
    classes = torch.arange(ways, device=items.device).expand(len(support), -1)
    with evaluation_mode(learner), torch.no_grad():
        logits = learner.head(support, classes, query, ways)  # type: ignore[operator]
    return _READ_OUTS[inference.labelling, inference.read_out](logits[:, 0].unflatten(0, (len(left), -1))).cpu()
