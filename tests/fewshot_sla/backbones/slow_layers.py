"""Layers of networks written out, for references that share no code with them."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn


def convolution(x: Tensor, weight: Tensor, stride: int = 1, bias: Tensor | None = None) -> Tensor:
    """Square convolution that keeps the size at stride 1: a sum over output pixels and channels."""
    kernel = weight.shape[-1]
    batch, _, height, width = x.shape
    edge = kernel // 2
    framed = x.new_zeros(batch, x.shape[1], height + 2 * edge, width + 2 * edge)
    framed[:, :, edge : edge + height, edge : edge + width] = x
    rows, columns = range(0, height, stride), range(0, width, stride)
    output = x.new_zeros(batch, len(weight), len(rows), len(columns))
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            patch = framed[:, :, row : row + kernel, column : column + kernel].reshape(batch, -1)
            output[:, :, i, j] = patch @ weight.reshape(len(weight), -1).T
    return output if bias is None else output + bias.view(1, -1, 1, 1)


def norm(x: Tensor, state: Iterator[Tensor], training: bool) -> Tensor:
    """BatchNorm by the next five tensors of a state."""
    weight, bias, mean, variance, _ = (next(state) for _ in range(5))
    if training:
        mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
    shape = (1, -1, 1, 1)
    return (x - mean.view(shape)) / (variance.view(shape) + 1e-5).sqrt() * weight.view(shape) + bias.view(shape)


def disturb(network: nn.Module) -> nn.Module:
    """Weights and statistics of BatchNorm that are not the initial ones, in float64."""
    generator = torch.Generator().manual_seed(0)
    network.double()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(std=0.3, generator=generator)
                module.running_var.uniform_(0.5, 1.5, generator=generator)
                module.weight.uniform_(0.5, 1.5, generator=generator)
                module.bias.normal_(std=0.3, generator=generator)
    return network
