"""The scale that a head starts with: such that the logits of the first episodes are neither all alike nor far apart.

How far apart the logits of an untrained network are depends on the head, the backbone, the size of the images and the
number of ways. Where they hardly differ, softmax gives every class the same probability and the gradient of the
features is small; where they differ by much, it is that of a few wrong answers. What starts mean: docs/calibration.md.
"""

from torch import Tensor

from episodes.errors import UserError

SPREAD = 0.5
"""Spread of the logits that a calibrated start aims at."""


def logit_spread(
    logits: Tensor,  # [T, R, W] float
) -> Tensor:  # [] float64
    """How far apart the classes are, in units of the logits: mean over queries of the standard deviation over ways::

        spread = mean over t, r of sqrt(mean over w of (l_trw - mean over w of l_trw)^2)

    >>> import torch
    >>> logit_spread(torch.tensor([[[1.0, 3.0], [5.0, 5.0]]]))
    tensor(0.5000, dtype=torch.float64)
    """
    values = logits.detach().double()
    return (values - values.mean(dim=-1, keepdim=True)).square().mean(dim=-1).sqrt().mean()


def calibrated_scale(
    logits: Tensor,  # [T, R, W] float
    spread: float = SPREAD,
) -> float:
    """Factor that gives the logits this spread; 1 if they are all equal within each query, so that no factor can.

    Raises:
        UserError: the spread asked for is not positive, there are no logits, or they are not finite.
    """
    if not 0 < spread < float("inf"):
        raise UserError(f"the spread of the logits must be positive and finite, got {spread}")
    found = float(logit_spread(logits))
    if not found < float("inf"):  # catches NaN too, which is also the mean of nothing
        raise UserError(f"a head cannot be calibrated on logits {list(logits.shape)} that are empty or not finite")
    return spread / found if found > 0 else 1.0
