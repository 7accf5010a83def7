"""Leaving one out of a prototypical network: only the means of one class change, so nothing else is computed anew."""

import torch
from torch import Tensor

from episodes.labels import unflatten_pairs
from fewshot_sla.heads.protonet import ProtoNetHead
from fewshot_sla.inference import Inference
from fewshot_sla.meta.learners.base import MetaLearner
from fewshot_sla.meta.learners.embedding import EmbeddingLearner
from fewshot_sla.training.modes import evaluation_mode


def by_prototypes(learner: MetaLearner) -> bool:
    """Whether :func:`leave_out_of_prototypes` gives what the head itself would give."""
    # Not a derived class: it may do anything.
    return isinstance(learner, EmbeddingLearner) and type(learner.head) is ProtoNetHead


def leave_out_of_prototypes(
    learner: MetaLearner,
    inference: Inference,
    items: Tensor,  # [S, M, D]
    labels: Tensor,  # [S] int64, 0..ways-1
    left: Tensor,  # [n] int64, rows of classes with two rows or more
    ways: int,
) -> Tensor:  # [n, N]
    """Logits of each of these rows when it alone is left out of the support.

    With the sum s and the number k of the rows of a label, and the sum x and the number v of those among them that are
    views of the image left out, the mean of the label without that image is (s - x) / (k - v). The head is then given
    one row a label: its mean.
    """
    m, labelling = items.shape[1], inference.labelling
    rows = labelling.rows(items, 0)  # [S*V, D]
    of_image = labelling.label(labels, m)  # [S, V] int64, 0..W-1
    total = labelling.ways(ways, m)
    sums = items.new_zeros(total, *rows.shape[1:]).index_add_(0, of_image.flatten(), rows)  # [W, D]
    counts = torch.bincount(of_image.flatten(), minlength=total)
    queries, own = unflatten_pairs(rows, 0, of_image.shape[1])[left], of_image[left]  # [n, V, D], [n, V]
    n = torch.arange(len(left), device=items.device).unsqueeze(-1)
    sums = sums.repeat(len(left), 1, 1).index_put_((n, own), -queries, accumulate=True)  # [n, W, D]
    counts = counts.repeat(len(left), 1).index_put_((n, own), -torch.ones_like(own), accumulate=True)  # [n, W]
    classes = torch.arange(total, device=items.device).expand(len(left), -1)
    with evaluation_mode(learner), torch.no_grad():
        logits = learner.head(sums / counts.unsqueeze(-1), classes, queries, total)  # type: ignore[operator]
    return inference.predict(logits, m)[:, 0].cpu()
