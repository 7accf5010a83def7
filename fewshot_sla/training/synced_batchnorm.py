"""Batch normalisation by the statistics of all images of a pass that several processes have divided among them.

torch has such a module too, ``torch.nn.SyncBatchNorm``; it takes tensors on GPUs only, and waits for the device in each
layer. This one is the same code on every device, so that what is tested on the CPU is what runs elsewhere.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from fewshot_sla.solvers.once import first_derivative_only
from fewshot_sla.training.team import Team


def pass_statistics(
    images: Tensor,  # [B, C, ...] float: this process's part, B at least 1; B may differ from process to process
    team: Team,
) -> tuple[Tensor, Tensor, Tensor]:  # [C], [C], []: float32 or float64
    """Mean and (biased) variance of each channel over the parts of all members, and how many values n a channel has::

        mean = sum_p n_p mean_p / n,   variance = sum_p n_p (variance_p + (mean_p - mean)^2) / n

    with n_p, mean_p and variance_p of part p alone: unlike a sum of squares, that loses no digits where the mean is
    large beside the deviation. All members get the same to the last bit, in one message of 2 C + 1 numbers each. The
    gradient of a loss L that is the sum of the members' losses goes through, to all parts::

        dL/dx = (dL/dmean + 2 (x - mean) dL/dvariance) / n

    with dL/dmean and dL/dvariance summed over the members, in one more message of 2 C numbers.
    """
    return _PassStatistics.apply(images, team)


_KNOWN = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


class _PassStatistics(torch.autograd.Function):
    """:func:`pass_statistics`."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, team: Team) -> tuple[Tensor, Tensor, Tensor]:
        wide = images.to(torch.promote_types(images.dtype, torch.float32))
        variance, mean = torch.var_mean(wide, dim=_all_but_channels(images), correction=0)
        count = mean.new_tensor([images.numel() // images.shape[1]])
        counts, means, variances = team.gather(torch.cat([count, mean, variance])).split([1, *2 * [len(mean)]], dim=1)
        total = counts.sum()
        mean = (counts * means).sum(dim=0) / total
        variance = (counts * (variances + (means - mean).square())).sum(dim=0) / total
        ctx.team = team
        ctx.save_for_backward(images, mean, total)
        ctx.mark_non_differentiable(total)
        return mean, variance, total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, None]:
        images, mean, total = ctx.saved_tensors
        with torch.no_grad():
            of_mean, of_variance = ctx.team.sum(torch.stack(gradients[:2])) / total
            # As one operation, which keeps memory order and type of the images: (x - mean) / sqrt(1) * slope + offset.
            ones, slope = torch.ones_like(mean), 2 * of_variance
            gradient = functional.batch_norm(images, mean, ones, slope, of_mean, training=False, eps=0.0)
        return first_derivative_only("SyncedBatchNorm", [gradient])[0], None


class SyncedBatchNorm(_BatchNorm):
    """BatchNorm that in training normalises by the statistics of a whole pass, of which each process has a part.

    What torch's BatchNorm gives for the parts put together: values, gradients of the inputs, and running statistics, up
    to rounding. The gradients of weight and bias are those of this process's part. In evaluation mode it is BatchNorm.
    It has the parameters and buffers of a BatchNorm, under their names. Statistics are computed in float32 or better.

    Every member of the team must call it equally often; it has no second derivative.

    Args:
        module: whose parameters, buffers and settings it takes over; not copied.
        team: the processes that divide a pass.
    """

    def __init__(self, module: _BatchNorm, team: Team) -> None:
        super().__init__(module.num_features, module.eps, module.momentum, affine=False, track_running_stats=False)
        self.affine, self.track_running_stats = module.affine, module.track_running_stats
        self._parameters.update(module._parameters)
        self._buffers.update(module._buffers)
        self.team = team
        self.train(module.training)

    def forward(
        self,
        images: Tensor,  # [B, C, ...] float
    ) -> Tensor:  # as the images
        """The images, normalised."""
        if not self.training:
            return super().forward(images)
        mean, variance, count = pass_statistics(images, self.team)
        self._move(mean.detach(), variance.detach(), count)
        scale = (variance + self.eps).rsqrt()
        scale = scale if self.weight is None else scale * self.weight
        # The gradient of the scale is a sum over the images less the centre: with the mean, as a constant, for a centre
        # no digits are lost. The shift then has the value of the bias, and brings the gradient of the mean.
        centre = mean.detach()
        shift = (centre - mean) * scale
        shift = shift if self.bias is None else shift + self.bias
        return functional.batch_norm(images, centre, torch.ones_like(centre), scale, shift, training=False, eps=0.0)

    @torch.no_grad()
    def _move(self, mean: Tensor, variance: Tensor, count: Tensor) -> None:
        """Move the running statistics towards those of the pass, as BatchNorm does; the variance is made unbiased."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        share = self.momentum if self.momentum is not None else 1 / self.num_batches_tracked.to(mean)
        self.running_mean.add_(share * (mean - self.running_mean))
        self.running_var.add_(share * (variance * count / (count - 1) - self.running_var))

    def _check_input_dim(self, images: Tensor) -> None:
        """Any number of axes after the channels."""


def synchronise(model: nn.Module, team: Team) -> None:
    """Replace every BatchNorm (1d, 2d, 3d) in a model, in place; names and values of the weights stay as they are.

    A BatchNorm of one's own, derived from torch's, stays as it is, and so does all that is no BatchNorm.

    Args:
        model: whose layers are meant.
        team: the processes that divide a pass; of one alone there is nothing to do.
    """
    if team.size == 1:
        return
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if isinstance(child, _BatchNorm) and type(child) in _KNOWN:
                setattr(parent, name, SyncedBatchNorm(child, team))


def _all_but_channels(images: Tensor) -> list[int]:
    return [dim for dim in range(images.ndim) if dim != 1]
