"""Where files go and how they get there: the user's cache folder, and writing a file whole or not at all."""

import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

CACHE_VARIABLE = "FEWSHOT_SLA_CACHE"
_FOLDER = "fewshot_sla"


def cache_folder() -> Path:
    """The folder for files that can be made again at any time; it need not exist yet.

    The environment variable ``FEWSHOT_SLA_CACHE`` wins; otherwise it is ``fewshot_sla`` in the place the system has for
    caches: ``$XDG_CACHE_HOME`` or ``~/.cache``, on macOS ``~/Library/Caches``, on Windows ``%LOCALAPPDATA%``.

    Raises:
        OSError: if the user has no home folder and no variable names another.
    """
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen).expanduser().absolute()
    # The XDG rule: a relative path in the variable is invalid and to be ignored.
    xdg = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if xdg.is_absolute():
        return xdg / _FOLDER
    local = os.environ.get("LOCALAPPDATA")
    if sys.platform == "win32" and local:
        return Path(local) / _FOLDER / "Cache"
    try:
        home = Path.home()
    except RuntimeError as error:
        raise OSError(f"no home folder for a cache ({error}); set {CACHE_VARIABLE} to a folder") from error
    return home / ("Library/Caches" if sys.platform == "darwin" else ".cache") / _FOLDER


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Write a file whole or not at all: ``with atomic_write(path) as file: file.write(...)``.

    The bytes go to a hidden file beside the target, which takes the target's name in one step when the block ends well.
    When the block raises, the target is what it was before and nothing is left behind. Readers never see half a file,
    and of several writers at once the last one wins. Missing parent folders are made.

    Args:
        path: the file to write; an existing file is replaced.

    Yields:
        The open binary file.

    Raises:
        OSError: if the folder cannot be made or written to.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    # Same folder, because a rename is one step only inside one file system. Not tempfile: its files are readable by
    # their owner only, and a shared folder of results should follow the umask like any other file.
    part = target.with_name(f".{target.name}.{secrets.token_hex(8)}.part")
    try:
        with open(part, "xb") as file:
            yield file
        os.replace(part, target)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise
