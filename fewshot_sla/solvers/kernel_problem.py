"""What solvers that are given a kernel and one-hot labels ask of them."""

import torch
from torch import Tensor

from episodes.errors import UserError
from fewshot_sla.solvers.errors import NonFiniteInputError, NotPositiveDefiniteError, all_finite, raise_unless


def labels_of(
    solver: str,  # named in the error
    one_hot: Tensor,  # [*, S, W]
) -> Tensor:  # [*, S] int64
    """Number of the class of each row.

    Raises:
        UserError: if a row does not hold one 1, else 0.
    """
    largest, label = one_hot.max(-1)
    if not bool(((largest == 1) & (one_hot.abs().sum(-1) == 1)).all()):
        raise UserError(f"{solver}: every row of the one-hot matrix must hold one 1, else 0")
    return label


def batch_and_ways(
    solver: str,
    kernel: Tensor,  # [*, S, S]
    one_hot: Tensor,  # [*, S, W]
    *numbers: float | Tensor,  # one an episode, or one for all
) -> tuple[torch.Size, int]:  # the common batch shape, W
    """What the leading axes broadcast to, and the number of classes.

    Raises:
        UserError: if shapes do not fit together, or there is nothing to solve.
    """
    if kernel.ndim < 2 or one_hot.ndim < 2 or not kernel.shape[-1] == kernel.shape[-2] == one_hot.shape[-2] > 0:
        raise UserError(
            f"a kernel [*, S, S] and a one-hot matrix [*, S, W] are needed, not {list(kernel.shape)} and "
            f"{list(one_hot.shape)}"
        )
    shapes = [kernel.shape[:-2], one_hot.shape[:-2], *(x.shape for x in numbers if isinstance(x, Tensor))]
    try:
        batch = torch.broadcast_shapes(*shapes)
    except RuntimeError as error:  # torch's way of saying that they do not broadcast
        raise UserError(f"{solver}: leading axes {[list(shape) for shape in shapes]} do not fit together") from error
    if batch.numel() == 0 or one_hot.shape[-1] == 0:
        raise UserError(f"{solver}: no episodes or no classes in {list(one_hot.shape)}")
    return batch, one_hot.shape[-1]


def check_kernel(
    solver: str,
    kernel: Tensor,  # [B, S, S] symmetric float64
    in_range: Tensor,  # [B] bool, whether the numbers that come with it are
    out_of_range: str,  # what to say if not
    dtype: torch.dtype,  # that the kernel came in
) -> None:
    """Raise unless all is finite, in range, and the kernel semidefinite up to the rounding of its dtype.

    Raises:
        NonFiniteInputError: NaN or infinity; names the episode.
        UserError: if a number is out of range.
        NotPositiveDefiniteError: a negative eigenvalue beyond rounding; names the episode.
    """
    finite = all_finite(kernel, 2)
    size = kernel.diagonal(dim1=-2, dim2=-1).amax(-1)
    rounding = kernel.shape[-1] * torch.finfo(dtype).eps * torch.where(size > 0, size, 1.0)
    shifted = kernel.detach().clone()
    shifted.diagonal(dim1=-2, dim2=-1).add_(rounding[:, None])
    semidefinite = torch.linalg.cholesky_ex(shifted).info == 0
    if bool((finite & semidefinite & in_range).all()):  # one read from the device for all three
        return
    advice = "look for NaN or infinity in what it is computed from"
    raise_unless(finite, NonFiniteInputError, solver, "the kernel is not finite", advice)
    if not bool(in_range.all()):
        raise UserError(f"{solver}: {out_of_range}")
    raise_unless(
        semidefinite, NotPositiveDefiniteError, solver, "the kernel is not positive semidefinite", "regularise it"
    )
