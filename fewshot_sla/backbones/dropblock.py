"""DropBlock: dropout of square blocks of a feature map, with a rate that grows over the training."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from episodes.errors import UserError
from fewshot_sla.backbones.scheduled import Scheduled


def dropblock(
    x: Tensor,  # [B, C, H, W] float
    keep_rate: float | Tensor,  # 0..1, a number or a 0-dim tensor on x's device
    block_size: int,
    training: bool = True,
    generator: torch.Generator | None = None,
) -> Tensor:  # [B, C, H, W], x's dtype
    """Zero random blocks of each channel and scale the rest up by all / kept entries; the identity if not training.

    With b = min(block_size, H, W), each of the (H-b+1)(W-b+1) places where a b x b block lies inside the map is the
    upper left corner of a dropped block with probability

    ``gamma = (1 - keep_rate) / b^2 * H W / ((H - b + 1)(W - b + 1))``.

    Blocks may overlap, so slightly more than ``keep_rate`` of the entries is kept. A block is never larger than the
    map: where the map is smaller, b shrinks, and on a 1x1 map this is dropout of single entries.

    Nothing is read back from the device, and the work does not depend on how many blocks fall.

    Ghiasi et al., "DropBlock", 2018, algorithm 1 and equation 1.

    Args:
        x: feature maps.
        keep_rate: share of the entries to keep, about; 1 keeps all.
        block_size: side of a block, at least 1.
        training: False returns ``x`` itself.
        generator: source of randomness, on x's device; torch's own one for that device by default.

    Raises:
        UserError: if ``block_size`` is less than 1, or ``keep_rate`` is a number outside 0..1.
    """
    if block_size < 1:
        raise UserError(f"DropBlock block_size must be at least 1, got {block_size}")
    if not isinstance(keep_rate, Tensor) and not 0 <= keep_rate <= 1:
        raise UserError(f"DropBlock keep_rate must be from 0 to 1, got {keep_rate}")
    if not training:
        return x
    batch, channels, height, width = x.shape
    side = min(block_size, height, width)
    rows, columns = height - side + 1, width - side + 1
    gamma = (1 - keep_rate) / side**2 * (height * width) / (rows * columns)
    # In float32 whatever x is: bfloat16 has too few digits to hit a gamma of a few thousandths.
    uniform = torch.rand(batch, channels, rows, columns, device=x.device, dtype=torch.float32, generator=generator)
    dropped = expand_seeds(uniform < gamma, side)
    # A 0-dim tensor, so the host need not wait for it; if everything was dropped, the result is 0 rather than 0/0.
    kept = (dropped.numel() - dropped.sum()).clamp(min=1)
    scale = dropped.numel() / kept.to(torch.promote_types(x.dtype, torch.float32))
    return (x * scale).masked_fill_(dropped, 0)  # in place, since masked_fill forgets channels_last


def expand_seeds(
    seeds: Tensor,  # [B, C, H-b+1, W-b+1] bool: upper left corners of blocks
    block_size: int,  # b
) -> Tensor:  # [B, C, H, W] bool
    """True wherever a block covers: entry (i, j) if a seed lies in rows i-b+1..i and columns j-b+1..j."""
    margin = block_size - 1
    padded = F.pad(seeds.to(torch.float32), (margin, margin, margin, margin))
    return F.max_pool2d(padded, block_size, stride=1) > 0


class DropBlock(Scheduled, nn.Module):
    """:func:`dropblock` with a keep rate that falls linearly over the first part of the training, then stays.

    ``keep_rate = 1 - drop_rate * min(done / ramp, 1)`` with ``done`` the share of the training that is done.

    The rate is a persistent buffer: it goes with the checkpoint, :meth:`set_progress` sets it, and no forward pass
    changes it. Lee et al., "Meta-Learning with Differentiable Convex Optimization", 2019 (MetaOptNet) count forward
    passes instead, 1/40000 of the way each, those of evaluation included. On one GPU an epoch of theirs has 2,000
    passes of training and 4,000 of validation, so the full rate is reached after some 6,700 of their 60,000 steps; on
    several GPUs (DataParallel) the count is lost with the replicas, and DropBlock stays practically off.

    Args:
        drop_rate: share of the entries dropped at the end of the schedule, 0 up to but not including 1.
        block_size: side of a block; on feature maps smaller than that the block shrinks to the map.
        ramp: share of the training until ``drop_rate`` is reached, 0 to 1; 0 means from the start.

    Raises:
        UserError: if an argument is out of its range.
    """

    drop: Tensor  # [] float32, 0..drop_rate

    def __init__(self, drop_rate: float = 0.1, block_size: int = 5, ramp: float = 1 / 3) -> None:
        super().__init__()
        if not 0 <= drop_rate < 1:
            raise UserError(f"DropBlock drop_rate must be at least 0 and less than 1, got {drop_rate}")
        if block_size < 1:
            raise UserError(f"DropBlock block_size must be at least 1, got {block_size}")
        if not 0 <= ramp <= 1:
            raise UserError(f"DropBlock ramp must be a share of the training, 0 to 1, got {ramp}")
        self.drop_rate = drop_rate
        self.block_size = block_size
        self.ramp = ramp
        self.register_buffer("drop", torch.tensor(self.strength(0.0), dtype=torch.float32))

    def strength(self, done: float) -> float:
        """The drop rate when this share of the training is done."""
        return self.drop_rate * (min(done / self.ramp, 1.0) if self.ramp else 1.0)

    def set_progress(self, done: float) -> None:
        """Move the schedule to this share of the training."""
        self.drop.fill_(self.strength(done))

    def keep_rate(self) -> Tensor:  # [] float32, 1-drop_rate..1
        """Keep rate at this moment of the training, on the module's device."""
        return 1 - self.drop.to(torch.float32)

    def forward(
        self,
        x: Tensor,  # [B, C, H, W] float
    ) -> Tensor:  # [B, C, H, W]
        """Drop blocks at the current rate in training mode; the identity in evaluation mode."""
        if not self.training or self.drop_rate == 0:
            return x
        return dropblock(x, self.keep_rate(), self.block_size)

    def extra_repr(self) -> str:
        """The arguments, for ``print(model)``."""
        return f"drop_rate={self.drop_rate}, block_size={self.block_size}, ramp={self.ramp:.4g}"
