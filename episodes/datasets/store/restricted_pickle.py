"""Pickles that came from somewhere else, read without running what is in them: numpy arrays and plain containers only.

A pickle is a program, and the data sets of the field go from hand to hand as pickles. Unpickling calls whatever the
file names. Here a file gets stand-ins for what rebuilds arrays (the real ones can be made to point at any memory) and a
few containers; anything else is an error that says what it was.
"""

import builtins
import collections
import os
import pickle
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from episodes.errors import UserError

_PLAIN = ("list", "dict", "tuple", "set", "frozenset", "bytearray", "bytes", "complex", "int", "float", "bool", "str")


def load_pickle(source: str | os.PathLike[str] | IO[bytes]) -> Any:
    """Read a pickle that holds numpy arrays, numbers, text, bytes and plain containers of these.

    Pickles of Python 2 are read too; their byte strings become text, character by character (latin-1), and their arrays
    arrays.

    Args:
        source: the file, or an open binary one.

    Raises:
        UserError: if the file is cut off or no pickle, or asks for anything else, with the name of what it asks for.
        OSError: if there is no such file.
    """
    if isinstance(source, str | os.PathLike):
        with open(source, "rb") as file:
            return _load(file, str(Path(source)))
    return _load(source, str(getattr(source, "name", "the pickle")))


def _load(file: IO[bytes], name: str) -> Any:
    try:
        return _Unpickler(file, encoding="latin1").load()
    except _ForbiddenError as error:
        raise UserError(
            f"{name} asks for {error}, which is not data; data sets are read only if they are numpy arrays and plain "
            "containers. Get the file from where it was published"
        ) from None
    except OSError:
        raise
    except EOFError:
        raise UserError(f"{name} is cut off; download or copy it again") from None
    except Exception as error:  # noqa: BLE001 (bytes that are no pickle can make the unpickler raise anything)
        if "truncated" in str(error) or "exhausted" in str(error):
            raise UserError(f"{name} is cut off; download or copy it again") from None
        raise UserError(f"{name} is not a pickle that can be read ({error}); download or copy it again") from None


class _ForbiddenError(Exception):
    """Something that is neither an array nor a plain container; the message is its name."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """What a file gets for a name."""
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise _ForbiddenError(f"{module}.{name}") from None

    def persistent_load(self, pid: Any) -> Any:
        """Things that are kept outside of the file."""
        raise _ForbiddenError(f"an object outside of the file ({pid!r})")


class _Stand:
    """What a file gets instead of numpy's or Python's own; it has nothing that a file could change."""

    __slots__ = ()


class _DType(_Stand):
    """Stands for numpy.dtype and for what it makes: numbers, text, or Python objects (which are plain ones here)."""

    __slots__ = ("real",)
    real: np.dtype[Any]

    def __call__(self, code: str, *_: Any) -> "_DType":
        made = _DType()
        made.real = np.dtype(code)
        if made.real.kind not in "biufcSUO" or made.real.subdtype or made.real.names:
            raise _ForbiddenError(f"an array of {made.real}")
        return made

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        # (version, byte order, then what structured types have); a plain type needs the byte order only
        self.real = self.real.newbyteorder(state[1])


class _Array(np.ndarray):
    """An array that is being rebuilt."""

    def __setstate__(self, state: Any) -> None:
        version, shape, dtype, fortran, data = state
        super().__setstate__((version, shape, _real(dtype), fortran, data))


class _ArrayType(_Stand):
    """Stands for numpy.ndarray, which files name but need not call."""

    __slots__ = ()


class _Reconstruct(_Stand):
    """Stands for numpy's ``_reconstruct``: an array with nothing in it yet; the state that follows fills it."""

    __slots__ = ()

    def __call__(self, kind: Any, shape: Any, code: Any) -> NDArray[Any]:
        if not isinstance(kind, _ArrayType):
            raise _ForbiddenError("an array of an unknown kind")
        return _Array((0,), np.int8)


class _FromBuffer(_Stand):
    """Stands for numpy's ``_frombuffer``."""

    __slots__ = ()

    def __call__(self, data: Any, dtype: Any, shape: tuple[int, ...], order: Any) -> NDArray[Any]:
        return np.frombuffer(data, dtype=_real(dtype)).reshape(shape, order=order)


class _Scalar(_Stand):
    """Stands for numpy's ``scalar``."""

    __slots__ = ()

    def __call__(self, dtype: Any, data: bytes | str) -> Any:
        return np.frombuffer(data.encode("latin1") if isinstance(data, str) else data, dtype=_real(dtype), count=1)[0]


class _Encode(_Stand):
    """Stands for ``codecs.encode``, which is how Python 3 writes bytes for Python 2."""

    __slots__ = ()

    def __call__(self, text: str, encoding: str) -> bytes:
        if encoding not in ("latin1", "latin-1"):
            raise _ForbiddenError(f"the codec {encoding}")
        return text.encode("latin1")


def _real(dtype: Any) -> np.dtype[Any]:
    if not isinstance(dtype, _DType):
        raise _ForbiddenError("an array of an unknown type")
    return dtype.real


_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): _ArrayType(),
    ("numpy", "dtype"): _DType(),
    ("_codecs", "encode"): _Encode(),
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("collections", "defaultdict"): collections.defaultdict,
    # numpy renamed its inner package in version 2: files of either are read by either.
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _Reconstruct() for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): _Scalar() for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _FromBuffer() for core in ("core", "_core")},
    **{(module, name): getattr(builtins, name) for module in ("builtins", "__builtin__") for name in _PLAIN},
}
