"""Which classes belong to which split: one JSON file a data set, with the source of the list under ``"source"``."""

import json
from importlib import resources


def class_list(name: str) -> dict[str, tuple[str, ...]]:
    """The lists of one file, without their source.

    >>> {split: len(names) for split, names in class_list("cifar_fs").items()}
    {'train': 64, 'val': 16, 'test': 20}

    Args:
        name: name of the file, without ``.json``.
    """
    text = (resources.files(__name__) / f"{name}.json").read_text(encoding="utf-8")
    return {key: tuple(names) for key, names in json.loads(text).items() if key != "source"}
