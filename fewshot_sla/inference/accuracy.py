"""Accuracy on the labels that are trained on, which may be mixtures."""

from torch import Tensor

from episodes.targets import Targets


def accuracy(
    logits: Tensor,  # [..., W] float
    targets: Targets,  # [...], 0..W-1
) -> Tensor:  # scalar float32
    """Share of the rows whose largest logit is that of their label, of a mixture that of its heavier label."""
    return (logits.detach().argmax(dim=-1) == targets.heavier).float().mean()
