"""What several processes that train together agree upon."""

import torch
from lightning_fabric import Fabric
from torch import nn


def share_buffers(fabric: Fabric, model: nn.Module) -> None:
    """Give every process the buffers of the first one.

    Each process updates BatchNorm's running statistics by its own episodes; what is validated must be what is saved,
    and that is the first process's.
    """
    if fabric.world_size > 1:
        for buffer in model.buffers():
            torch.distributed.broadcast(buffer, src=0)
