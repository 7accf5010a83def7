"""Checkpoints as safetensors: tensors by name, everything else as JSON beside them; nothing is ever unpickled."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from episodes.errors import UserError
from episodes.storage import atomic_write
from fewshot_sla.runs import plain_values

_STATE = "state"  # the one metadata entry: safetensors' metadata are strings


def save_checkpoint(
    path: Path,
    tensors: Mapping[str, Tensor],
    state: Mapping[str, Any],  # numbers, text, lists, tuples, dicts, None
) -> None:
    """Write tensors and state as one file, whole or not at all."""
    contents = save(
        {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()},
        metadata={_STATE: plain_values.dumps(state)},
    )
    with atomic_write(path) as file:
        file.write(contents)


def load_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors (on the CPU) and state of a checkpoint.

    Raises:
        UserError: if the file is not there, cut off, or not one of ours.
    """
    with _opened(path) as file:
        return {name: file.get_tensor(name) for name in file.keys()}, _state(file)  # noqa: SIM118 - not a dict


def load_state(path: Path) -> dict[str, Any]:
    """The state of a checkpoint alone; it stands in the head of the file, and no tensor is read.

    Raises:
        UserError: as :func:`load_checkpoint`.
    """
    with _opened(path) as file:
        return _state(file)


@contextmanager
def _opened(path: Path) -> Iterator[safe_open]:
    if not path.is_file():
        raise UserError(f"{path}: there is no checkpoint; has the run been trained?")
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (SafetensorError, KeyError, json.JSONDecodeError, OSError) as error:
        raise UserError(f"{path}: the checkpoint is damaged or cut off ({error}); use another one") from error


def _state(file: safe_open) -> dict[str, Any]:
    return plain_values.loads((file.metadata() or {})[_STATE])


def with_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors under longer names."""
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def without_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Those tensors whose names begin with the prefix, under what is left of their names."""
    start = f"{prefix}."
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}


def load_weights(module: nn.Module, weights: Mapping[str, Tensor], source: Path) -> None:
    """Put weights into a module.

    Raises:
        UserError: if they are another model's: names or shapes differ; the first difference is named.
    """
    own = module.state_dict()
    missing = [name for name in own if name not in weights]
    surplus = [name for name in weights if name not in own]
    reshaped = [name for name in own if name in weights and own[name].shape != weights[name].shape]
    for what, names in (("lacks", missing), ("also has", surplus), ("has in another shape", reshaped)):
        if names:
            raise UserError(
                f"{source}: the checkpoint is of another model: it {what} {names[0]}"
                + (f" and {len(names) - 1} more" if len(names) > 1 else "")
                + "; use the configuration it was trained with"
            )
    module.load_state_dict(dict(weights))


def pack_optimizer(state: Mapping[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Take an optimiser's state_dict apart into tensors by name and the rest, which is plain values."""
    tensors: dict[str, Tensor] = {}
    plain: dict[str, dict[str, Any]] = {}
    for number, values in state["state"].items():
        plain[str(number)] = {key: value for key, value in values.items() if not torch.is_tensor(value)}
        tensors |= {f"{number}.{key}": value for key, value in values.items() if torch.is_tensor(value)}
    return tensors, {"state": plain, "param_groups": state["param_groups"]}


def unpack_optimizer(tensors: Mapping[str, Tensor], rest: Mapping[str, Any]) -> dict[str, Any]:
    """Inverse of :func:`pack_optimizer`."""
    state: dict[int, dict[str, Any]] = {int(number): dict(values) for number, values in rest["state"].items()}
    for name, tensor in tensors.items():
        number, key = name.split(".", 1)
        state[int(number)][key] = tensor
    return {"state": state, "param_groups": rest["param_groups"]}
