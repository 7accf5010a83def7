"""An exponential moving average of the weights, by which a model is validated, tested and used."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.optim.swa_utils import get_ema_multi_avg_fn


class WeightAverage:
    """The exponential moving average a of a model's weights w, after step s = 1, 2, ...::

        a_0 = w_0,   a_s = d_s a_(s-1) + (1 - d_s) w_s,   d_s = min(decay, (1 + s) / (10 + s))

    Polyak and Juditsky, "Acceleration of stochastic approximation by averaging", 1992, in the form of TensorFlow's
    ExponentialMovingAverage, which Fast AutoAugment's program has too: d_s grows so that the first, random weights are
    soon forgotten.

    What is averaged: all parameters, and the running statistics of normalisation layers. The statistics of a step are
    those of activations of its weights; so averaged weights go with statistics of the same steps in the same shares.
    timm's ModelEmaV2 does this too. Where BatchNorm's momentum is large (0.9 in WRN-40-2), the statistics otherwise
    would be those of the last batch or two. Other buffers are what they are at the moment: counts, or what a layer
    keeps of the clock.

    Args:
        model: whose weights are averaged; in its memory format and on its device already.
        decay: share that the average keeps at each step, 0 to 1.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._decay = decay
        self._current = {name: tensor.detach() for name, tensor in _averaged(model)}
        self.averages = {name: tensor.clone() for name, tensor in self._current.items()}

    def update(
        self,
        step: int,  # steps that are made, the last one included: 1, 2, ...
    ) -> None:
        """Take in the weights as they are after a step."""
        kept = min(self._decay, (1 + step) / (10 + step))
        get_ema_multi_avg_fn(kept)(list(self.averages.values()), list(self._current.values()), step)

    @contextmanager
    def in_model(self) -> Iterator[None]:
        """Inside, the model has the averages; outside its own weights, to the last bit."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def restore(self, averages: Mapping[str, Tensor]) -> None:
        """Take up averages that were saved."""
        for name, tensor in self.averages.items():
            tensor.copy_(averages[name])

    def _swap(self) -> None:
        # One tensor after the other: in all there is one copy more of the largest.
        for name, current in self._current.items():
            before = current.clone()
            current.copy_(self.averages[name])
            self.averages[name].copy_(before)


def _averaged(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """What is averaged, by the names of the model's state."""
    yield from model.named_parameters()
    for prefix, module in model.named_modules():
        if isinstance(module, _NormBase):
            for name in ("running_mean", "running_var"):
                statistic = getattr(module, name)
                if statistic is not None:
                    yield f"{prefix}.{name}".lstrip("."), statistic
