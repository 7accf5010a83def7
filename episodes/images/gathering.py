"""Tensors on their way to the device that computes."""

import torch
from torch import Tensor


def sent(
    tensor: Tensor,  # any shape and type
    device: torch.device,
) -> Tensor:  # the same, there
    """The tensor on a device, without waiting for what the device is busy with."""
    if tensor.device == device:
        return tensor
    if device.type == "cuda" and tensor.device.type == "cpu":
        tensor = tensor.pin_memory()  # a copy from elsewhere waits for the device
    return tensor.to(device, non_blocking=device.type == "cuda")
