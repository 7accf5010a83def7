"""Rectangles at random places of images, one an image: what Cutout and CutMix cut."""

import torch
from torch import Tensor


def random_centres(
    count: int,
    height: int,
    width: int,
    device: torch.device,
) -> tuple[Tensor, Tensor]:  # rows [count] int64, 0..height-1; columns [count] int64, 0..width-1
    """Pixels, each as likely as any other."""
    rows = torch.randint(height, (count,), device=device)
    return rows, torch.randint(width, (count,), device=device)


def box_masks(
    rows: Tensor,  # [B] int64, of the centres
    columns: Tensor,  # [B] int64
    tall: Tensor,  # [B] int64, heights of the boxes
    wide: Tensor,  # [B] int64
    height: int,  # of the images
    width: int,
) -> Tensor:  # [B, 1, height, width] bool
    """Which pixels lie in the box ``[row - tall // 2, row + tall // 2)``, likewise for columns; clipped at the edges.

    >>> box_masks(*torch.tensor([[0], [1], [2], [2]]), height=2, width=3).int().tolist()
    [[[[1, 1, 0], [0, 0, 0]]]]
    """
    down = torch.arange(height, device=rows.device)
    across = torch.arange(width, device=rows.device)
    inside_rows = _within(down, rows, tall)  # [B, height]
    inside_columns = _within(across, columns, wide)  # [B, width]
    return (inside_rows[:, :, None] & inside_columns[:, None, :])[:, None]


def _within(places: Tensor, centres: Tensor, lengths: Tensor) -> Tensor:  # [B, len(places)] bool
    half = (lengths // 2)[:, None]
    centres = centres[:, None]
    return (places >= centres - half) & (places < centres + half)
