"""A lock between processes, held by the operating system: a process that is killed gives it back."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def locked(path: Path, *, wait: bool) -> Iterator[None]:
    """Keep other processes from the same path for the time of the block.

    Where it cannot be locked (the system or the file system has no such locks, or it may not be opened), the block
    runs without: what is guarded is to be right then, too, if perhaps done twice. That is why this is not ``filelock``,
    which waits for ever where a file system has no locks, and which leaves a file of its own in the folder.

    Args:
        path: a file or folder that is there. It is neither read nor written.
        wait: until whoever has it gives it back.

    Raises:
        BlockingIOError: if another process has it and ``wait`` is false.
    """
    handle = _lock(path, wait)
    try:
        yield
    finally:
        if handle is not None:
            _unlock(handle)


def _lock(path: Path, wait: bool) -> int | None:
    """The open path, locked; None where that is impossible."""
    try:
        import fcntl

        handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)  # over NFS only what is open for writing
    except (ImportError, OSError):  # not a POSIX system, or not a path that can be opened
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        os.close(handle)
        raise
    except OSError:  # a file system without locks
        os.close(handle)
        return None
    return handle


def _unlock(handle: int) -> None:
    import fcntl

    fcntl.flock(handle, fcntl.LOCK_UN)  # processes that were forked meanwhile have the handle too
    os.close(handle)


def has_locks(folder: Path) -> bool:
    """Whether files in a folder can be locked; some network file systems, and other systems than POSIX, have no locks.

    Raises:
        OSError: if the folder cannot be written to.
    """
    probe = folder / f".lock.{secrets.token_hex(8)}"
    probe.touch()
    try:
        with locked(probe, wait=False):
            try:
                with locked(probe, wait=False):
                    return False
            except BlockingIOError:
                return True
    finally:
        probe.unlink(missing_ok=True)
