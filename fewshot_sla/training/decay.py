"""Which parameters of a model the optimiser's weight decay is of."""

from typing import Any, Literal

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

Decay = Literal["all", "not_norm", "weights"]

NORMS = (_NormBase, nn.GroupNorm, nn.LayerNorm)  # _NormBase: BatchNorm, also synchronised, and InstanceNorm


def decays(parameter: nn.Parameter, of_norm: bool, decay: Decay) -> bool:
    """Whether a parameter decays; ``weights`` are those with two axes or more outside of normalisation layers.

    Args:
        parameter: of any shape.
        of_norm: whether it belongs to a normalisation layer.
        decay: which parameters are meant to.
    """
    if decay == "all":
        return True
    return not of_norm and (decay == "not_norm" or parameter.ndim > 1)


def parameter_groups(model: nn.Module, decay: Decay) -> list[dict[str, Any]]:
    """The parameters of a model as groups for a torch optimiser: first those that decay, then those that do not.

    The second group has ``weight_decay`` 0, the first what the optimiser is told. An empty group is left out.
    """
    of_norms = {
        id(parameter)
        for module in model.modules()
        if isinstance(module, NORMS)
        for parameter in module.parameters(recurse=False)
    }
    decaying: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for parameter in model.parameters():
        (decaying if decays(parameter, id(parameter) in of_norms, decay) else others).append(parameter)
    groups: list[dict[str, Any]] = [{"params": decaying}, {"params": others, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]
