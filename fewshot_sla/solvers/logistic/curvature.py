"""The second derivatives of multinomial logistic regression, inverted by their structure: nothing is S W x S W."""

from typing import NamedTuple

import torch
from torch import Tensor

from fewshot_sla.solvers.positive_definite import positive_definite_inverse


class Curvature(NamedTuple):
    """What it takes to apply G = (H^-1 + K)^-1, of size S W x S W, to a matrix [S, W].

    H is the Hessian of C times the sum of the rows' cross-entropies, in the logits F: for row s it is
    C (diag(p_s) - p_s p_s'). It is singular, G is nevertheless well defined, and it is sums of blocks of one class::

        E_w = (diag(1 / (C p_w)) + K)^-1,   M = sum over w of E_w
        G V = E V - E (1 M^-1 sum over w of E_w V_w)        (E applies each class's E_w to its column)

    Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, eq. 3.45 to 3.47 and algorithm 3.3.
    """

    blocks: Tensor  # [B, W, S, S] E_w
    factor: Tensor  # [B, S, S] lower Cholesky factor of M
    row_sums: Tensor  # [B, S, W] E_w 1
    bias_factor: Tensor | None  # [B, W-1, W-1] Cholesky factor of 1' G 1 without its last class; None without bias

    def solve(
        self,
        values: Tensor,  # [B, S, W] V
        sums: Tensor,  # [B, W] orthogonal to 1
    ) -> tuple[Tensor, Tensor]:  # U [B, S, W], z [B, W]
        """U = G (V + 1 z') with z such that the rows of U add up to ``sums``; without bias z is 0 and sums are ignored.

        z is determined up to a number that is the same for all classes, which G does not see; its mean is 0.
        """
        own = self._of_each_class(values)
        z = torch.zeros_like(sums)
        if self.bias_factor is not None:
            reached = own.sum(-2) - (self.row_sums.mT @ self._shared(own))[..., 0]
            # The system is a Laplacian: grounding its last class leaves it as well conditioned as it is.
            z[:, :-1] = torch.cholesky_solve((sums - reached)[:, :-1, None], self.bias_factor)[..., 0]
            z = z - z.mean(-1, keepdim=True)
            own = own + self.row_sums * z[:, None]
        return own - self._of_each_class(self._shared(own).expand_as(own)), z

    def _of_each_class(self, values: Tensor) -> Tensor:  # [B, S, W] -> [B, S, W]
        return (self.blocks @ values.mT[..., None])[..., 0].mT

    def _shared(self, own: Tensor) -> Tensor:  # [B, S, W] -> [B, S, 1]
        return torch.cholesky_solve(own.sum(-1, keepdim=True), self.factor)


def curvature(
    kernel: Tensor,  # [B, S, S] symmetric positive semidefinite
    probabilities: Tensor,  # [B, S, W]
    C: Tensor,  # [B]
    bias: bool,
) -> Curvature:
    """Factorise the second derivatives at these probabilities: about W S^3 multiplications an episode."""
    root = (C[:, None, None] * probabilities).sqrt().mT  # [B, W, S]
    matrix = root[..., :, None] * kernel[:, None] * root[..., None, :]
    matrix.diagonal(dim1=-2, dim2=-1).add_(1)
    blocks = positive_definite_inverse(matrix) * root[..., :, None] * root[..., None, :]
    total = blocks.sum(1)
    factor = torch.linalg.cholesky_ex(total).L
    row_sums = blocks.sum(-1).mT
    bias_factor = None
    if bias:
        between = row_sums.mT @ torch.cholesky_solve(row_sums, factor)
        # 1' G 1 = diag(between 1) - between: its rows add up to 0 exactly.
        laplacian = torch.diag_embed(between.sum(-1)) - between
        bias_factor = torch.linalg.cholesky_ex(laplacian[:, :-1, :-1]).L
    return Curvature(blocks, factor, row_sums, bias_factor)
