"""Packages that are not always there: imported when they are used, and a user's error when they are missing."""

import contextlib
import functools
import importlib
import io
from types import ModuleType

from episodes.errors import UserError


@functools.cache
def learn2learn() -> ModuleType:
    """The learn2learn package; its import takes seconds.

    It imports gym, which writes a notice to standard error that it is unmaintained; that is of no concern here.

    Raises:
        UserError: if it is not installed.
    """
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            return importlib.import_module("learn2learn")
    except ImportError as error:
        raise UserError(f"learn2learn is needed ({error}): pip install learn2learn, as requirements.txt does") from None
