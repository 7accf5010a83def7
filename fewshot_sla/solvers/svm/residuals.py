"""What is optimal for the multi-class SVM's dual, apart from how it is found."""

import torch
from torch import Tensor

from fewshot_sla.solvers.optimality import Residuals, largest


@torch.no_grad()
def svm_residuals(
    kernel: Tensor,  # [B, S, S] K + r I
    C: Tensor,  # [B]
    label: Tensor,  # [B, S] int64
    alpha: Tensor,  # [B, S, W]
) -> Residuals:
    """Violation of the optimality conditions by alpha, with multipliers computed from it.

    With G = Y - K alpha, the conditions ask for a constant nu_i a row and multipliers M >= 0 that vanish where alpha is
    free, such that G = nu + M. Here nu_i is G where row i has most slack, and M the positive part of G - nu::

        primal = max |alpha 1|_i and (alpha - C Y)_+, over the largest |alpha|
        dual   = max (nu - G)_+, over the largest of |K alpha|, |nu| and 1 (the largest entry of Y)
        gap    = |tr(alpha'K alpha) - tr(Y'alpha) + C tr(Y'M)|, over the largest of the three
    """
    tiny = torch.finfo(alpha.dtype).tiny
    target = torch.zeros_like(alpha).scatter_(-1, label[..., None], 1.0)
    limit = C[:, None, None] * target
    slack = limit - alpha
    image = kernel @ alpha
    gradient = target - image
    nu = gradient.gather(-1, slack.argmax(-1, keepdim=True))
    multiplier = (gradient - nu).clamp_min(0)
    size = largest(image, 2).maximum(largest(nu, 2)).clamp_min(1)
    products = torch.stack([alpha * image, -alpha * target, limit * multiplier]).sum((-2, -1))
    violation = largest(alpha.sum(-1)[..., None], 2).maximum(largest(slack.clamp_max(0), 2))
    return Residuals(
        primal=violation / largest(alpha, 2).clamp_min(tiny),
        dual=largest((nu - gradient).clamp_min(0), 2) / size,
        gap=products.sum(0).abs() / products.abs().amax(0).clamp_min(tiny),
    )
