"""Configurations laid over one another: plain containers in, a plain container out."""

import copy
from collections.abc import Mapping
from typing import Any

_OF_A_CLASS = ("class_path", "init_args", "dict_kwargs")


def compose(
    base: Mapping[str, Any],
    *fragments: Mapping[str, Any],  # each lies on top of those before it
) -> dict[str, Any]:
    """The base with every fragment laid over it, key by key; nothing that is given is changed.

    A node with a ``class_path`` describes an object. A fragment that names another class there replaces the whole node:
    the arguments of the former class are void, and the new one comes with its own defaults. One that names the same
    class, or none, adds to the ``init_args``; it may leave the words ``init_args`` and ``class_path`` out. A list is
    replaced, but ``name+`` adds to the list ``name``.

    >>> sgd = {"optimizer": {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.1, "momentum": 0.9}}}
    >>> compose(sgd, {"optimizer": {"lr": 0.2}})
    {'optimizer': {'class_path': 'torch.optim.SGD', 'init_args': {'lr': 0.2, 'momentum': 0.9}}}
    >>> compose(sgd, {"optimizer": "torch.optim.Adam"})
    {'optimizer': {'class_path': 'torch.optim.Adam'}}
    >>> compose({"loggers": ["CSVLogger"]}, {"loggers+": "WandbLogger"})
    {'loggers': ['CSVLogger', 'WandbLogger']}

    Args:
        base: options, as a YAML file gives them.
        fragments: what is changed, in the same form.
    """
    merged = copy.deepcopy(dict(base))
    for fragment in fragments:
        merged = _laid_over(merged, fragment)
    return merged


def depth_of_class(fragment: Mapping[str, Any]) -> float:
    """How many keys lead to the outermost class of a fragment, not counting ``init_args``; infinite if it names none.

    Laid in this order, no fragment voids what another one says of the inside of an object.

    >>> depth_of_class({"objective": {"init_args": {"label_loss": {"class_path": "package.Loss"}}}})
    2
    """
    if "class_path" in fragment:
        return 0
    below = [
        depth_of_class(value) + (key != "init_args") for key, value in fragment.items() if isinstance(value, Mapping)
    ]
    return min(below, default=float("inf"))


def _laid_over(below: Any, above: Any) -> Any:
    if isinstance(above, str) and _names_class(below):
        above = {"class_path": above}
    if not isinstance(above, Mapping):
        return copy.deepcopy(above)
    if isinstance(below, str):  # so far only the name of a class
        below = {"class_path": below}
    if not isinstance(below, Mapping):
        below = {}
    if _names_class(below):
        above = _with_arguments_inside(above)
        if not _same_class(above.get("class_path"), below["class_path"]):
            return copy.deepcopy(above)
        above = {key: value for key, value in above.items() if key != "class_path"}
    merged = dict(below)
    for key, value in above.items():
        name = str(key).removesuffix("+")
        merged[name] = _laid_over(below.get(key), value) if name == key else _longer(merged.get(name), value)
    return merged


def _longer(below: Any, above: Any) -> list[Any]:
    """A list with what is to be added to it: one item, or several."""
    return [*(below or []), *copy.deepcopy(above if isinstance(above, list) else [above])]


def _names_class(node: Any) -> bool:
    return isinstance(node, Mapping) and isinstance(node.get("class_path"), str)


def _same_class(above: Any, below: str) -> bool:
    """Whether ``above`` names no other class; a name without its path may stand for any path."""
    return above is None or above == below or ("." not in str(above) and above == below.rpartition(".")[2])


def _with_arguments_inside(node: Mapping[str, Any]) -> dict[str, Any]:
    """The same with what stands beside ``class_path`` and ``init_args`` moved into the latter."""
    kept = {key: value for key, value in node.items() if key in _OF_A_CLASS}
    moved = {key: value for key, value in node.items() if key not in _OF_A_CLASS}
    if moved:
        kept["init_args"] = compose(kept.get("init_args") or {}, moved)
    return kept
