import collections
import pickle
from pathlib import Path

import numpy as np
import pytest

from episodes.datasets.store.restricted_pickle import load_pickle
from episodes.errors import UserError

PLAIN = {
    "data": np.arange(24, dtype=np.uint8).reshape(2, 3, 4),
    "transposed": np.arange(6, dtype=np.uint8).reshape(2, 3).T,
    "big_endian": np.arange(3, dtype=">i4"),
    "strings": np.array(["a", "bc"]),
    "objects": np.array([b"x", ("y", 1)], dtype=object),
    "labels": [1, 2, np.int64(3), np.float32(0.5)],
    "names": collections.OrderedDict(a=0, b=1),
    "by_class": collections.defaultdict(list, {"a": [0, 1]}),
    "raw": b"\x00\xff",
    "set": {1, 2},
    "none": None,
}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_and_plain_containers_come_back_from_every_protocol(protocol: int, tmp_path: Path) -> None:
    path = tmp_path / "plain.pkl"
    path.write_bytes(pickle.dumps(PLAIN, protocol))
    read = load_pickle(path)
    assert read.keys() == PLAIN.keys()
    for key, value in PLAIN.items():
        if isinstance(value, np.ndarray):
            assert (read[key].dtype.kind, read[key].dtype.itemsize) == (value.dtype.kind, value.dtype.itemsize)
            np.testing.assert_array_equal(read[key], value)
        else:
            assert read[key] == value, key


@pytest.mark.parametrize("package", [b"numpy.core", b"numpy._core"])
def test_files_of_either_numpy_are_read(package: bytes, tmp_path: Path) -> None:
    written = pickle.dumps({"a": np.arange(3), "b": np.int64(4)}, 2).replace(b"numpy._core", b"numpy.core")
    (tmp_path / "a.pkl").write_bytes(written.replace(b"cnumpy.core", b"c" + package))
    read = load_pickle(tmp_path / "a.pkl")
    np.testing.assert_array_equal(read["a"], np.arange(3))
    assert read["b"] == 4


def test_python_2_files_give_text_and_arrays() -> None:
    import io

    # what Python 2.7 with numpy 1.16 writes for {'data': np.array([200, 1], 'uint8'), 'name': 'caf\xe9'}
    written = (
        b"\x80\x02}q\x01(U\x04dataq\x02cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\nq\x04K\x00\x85U\x01b"
        b"\x87Rq\x05(K\x01K\x02\x85cnumpy\ndtype\nq\x06U\x02u1K\x00K\x01\x87Rq\x07(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff"
        b"\xff\xff\xffK\x00tb\x89U\x02\xc8\x01tbU\x04nameU\x04caf\xe9u."
    )
    read = load_pickle(io.BytesIO(written))
    np.testing.assert_array_equal(read["data"], np.array([200, 1], np.uint8))
    assert read["name"] == "café"


class _Calls:
    def __init__(self, function: object, *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self.call


def _names() -> list[tuple[bytes, str]]:
    import os

    return [
        (pickle.dumps({"data": _Calls(os.system, "true")}), "posix.system"),
        (pickle.dumps(_Calls(eval, "1")), "builtins.eval"),
        (pickle.dumps(_Calls(getattr, 1, "real")), "builtins.getattr"),
        (pickle.dumps(Path("x")), "pathlib"),
        (pickle.dumps(_Calls(np.load, "x")), "numpy.load"),
        (b"cnumpy.core.numeric\nfull\n.", "numpy.core.numeric.full"),
        (b"c__builtin__\ngetattr\n.", "__builtin__.getattr"),
        (b"Pid\n.", "outside of the file"),
        (pickle.dumps(_Calls(np.dtype, "u1,f4")), "u1"),
        (pickle.dumps(np.zeros(2, dtype="M8[s]")), "datetime64"),
        (pickle.dumps(b"x", 2).replace(b"latin1", b"base64"), "base64"),
    ]


@pytest.mark.parametrize(("data", "named"), _names())
def test_anything_else_is_refused_by_name(data: bytes, named: str, tmp_path: Path) -> None:
    path = tmp_path / "evil.pkl"
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"evil.pkl asks for") as caught:
        load_pickle(path)
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "program",
    [
        b"cnumpy\nndarray\n((K\x01tcnumpy\ndtype\n(X\x01\x00\x00\x00OtRC\x08AAAAAAAAtR.",  # an array of any pointer
        b"cnumpy.core.numeric\n_frombuffer\n(C\x08AAAAAAAAcnumpy\ndtype\n(X\x01\x00\x00\x00OtR(K\x01tX\x01\x00\x00\x00CtR.",
        b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(X\x01\x00\x00\x00OtRC\x08AAAAAAAAtR.",
        b"cnumpy.core.multiarray\n_reconstruct\n}X\x01\x00\x00\x00aK\x01sb.",  # sets an attribute of a function
        b"ccollections\nOrderedDict\n}X\x01\x00\x00\x00aK\x01sb.",  # sets an attribute of a class
    ],
)
def test_what_is_allowed_cannot_be_bent(program: bytes, tmp_path: Path) -> None:
    path = tmp_path / "evil.pkl"
    path.write_bytes(program)
    with pytest.raises(UserError, match=r"evil.pkl"):
        load_pickle(path)
    assert not hasattr(collections.OrderedDict, "a")


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_a_file_that_is_cut_off_says_so_wherever_it_ends(protocol: int, tmp_path: Path) -> None:
    whole = pickle.dumps({"data": np.arange(100), "labels": list(range(50)), "name": "x" * 300}, protocol)
    path = tmp_path / "half.pkl"
    for end in range(0, len(whole), max(1, len(whole) // 80)):
        path.write_bytes(whole[:end])
        with pytest.raises(UserError, match=r"half.pkl is (cut off|not a pickle)"):
            load_pickle(path)


def test_a_web_page_is_no_pickle(tmp_path: Path) -> None:
    path = tmp_path / "page.pkl"
    path.write_text("<!DOCTYPE html><html>quota exceeded</html>")
    with pytest.raises(UserError, match=r"page.pkl is not a pickle"):
        load_pickle(path)


def test_a_file_that_is_not_there_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_pickle(tmp_path / "none.pkl")
