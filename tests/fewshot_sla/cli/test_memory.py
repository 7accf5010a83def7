"""Freed memory stays with the process, where the C library can be told so."""

import ctypes
import platform
import subprocess
import sys

import pytest

from fewshot_sla.cli import memory

# Resident pages of the process before, while and after it holds 24 MiB, with and without the settings.
_PROGRAM = """
import ctypes, sys
from fewshot_sla.cli.memory import keep_freed_memory
if sys.argv[1] == "kept":
    assert keep_freed_memory()
def pages():
    return int(open("/proc/self/statm").read().split()[1])
library = ctypes.CDLL("libc.so.6")
library.malloc.restype, library.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
block = library.malloc(ctypes.c_size_t(24 * 2**20))
ctypes.memset(ctypes.c_void_p(block), 1, 24 * 2**20)
held = pages()
library.free(block)
print(held - pages())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the settings are of the GNU C library")
@pytest.mark.parametrize("how", ["kept", "returned"])
def test_a_large_block_stays_with_the_process(how: str) -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM, how], capture_output=True, text=True, check=True)
    returned_bytes = int(done.stdout) * 4096
    assert (returned_bytes < 2**20) if how == "kept" else (returned_bytes > 20 * 2**20)


def test_other_systems_and_other_libraries_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise OSError(name)

    with monkeypatch.context() as patch:
        patch.setattr(ctypes, "CDLL", missing)
        assert not memory.keep_freed_memory()
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not memory.keep_freed_memory()
