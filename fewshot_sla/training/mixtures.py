"""Whether a loss takes mixtures of labels for what they are; asked before a training that mixes images."""

from collections.abc import Callable

import torch
from torch import Tensor

from episodes.errors import UserError
from episodes.targets import Targets


def check_mixtures(
    loss_of: Callable[[Targets], Tensor],  # targets [...] -> scalar
    targets: Targets,  # [...], as the augmentation gives them
    labels: int,  # W: how many labels there are
    who: str,  # whose loss it is, as the message calls it
) -> None:
    """Raise UserError if there are mixtures, and the loss does not see their second label.

    One that is all of its second label, ``0 * y + 1 * (y + 1)``, must cost what the label y + 1 costs. A loss that
    takes the first label for the whole truth would train, and learn that half of a cat is a cat.
    """
    if not targets.is_mixed:
        return
    others = (targets.labels + 1) % labels
    mixed = loss_of(Targets(targets.labels, others, torch.zeros_like(others, dtype=torch.float32)))
    first, second = loss_of(Targets(targets.labels)), loss_of(Targets(others))
    # Before any training labels may cost nearly the same, so what counts is where between them the mixture stands.
    if (mixed - second).abs() > 0.01 * (first - second).abs() + 1e-5 * second.abs():
        raise UserError(
            f"{who} cannot take mixtures of labels: its loss of 0 * y + 1 * y' is not that of y'; let it ask "
            "Targets.mean_of, or leave out the augmentation that mixes images (Mixup, CutMix)"
        )
