"""A key of files that changes when one of them does; cheap, because no file is read."""

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

from episodes.errors import UserError


def files_key(root: Path, paths: Iterable[Path | str], **options: object) -> str:
    """A key of files by name under the root, size and time of change; and of options that decide the images.

    Folders may be given in place of very many files: their time changes when a file is added, removed or renamed.

    Args:
        root: what the names are relative to, so that a folder that is moved keeps its key.
        paths: files and folders, in any order.
        options: anything JSON can hold, for instance image_size=84 or the class list.

    Raises:
        UserError: if a file is not there.
    """
    digest = hashlib.sha256(json.dumps(options, sort_keys=True).encode())
    names = sorted(map(str, paths))
    for path, relative in zip(names, relative_names(root, names), strict=True):
        try:
            status = os.stat(path)
        except OSError as error:
            raise UserError(f"cannot read {path} ({error.strerror})") from None
        digest.update(f"{relative!r} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def relative_names(root: Path, names: Iterable[str]) -> list[str]:
    """Names of files as they are under a root; those that are elsewhere as they are."""
    above = os.path.join(root, "")
    return [name.removeprefix(above) for name in names]
