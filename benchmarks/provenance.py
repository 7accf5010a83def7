"""What every benchmark shares: where its figures come from, how they are timed, and how they are written down."""

import datetime
import gc
import importlib.metadata
import json
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from episodes.storage import atomic_write

_PACKAGES = ("torch", "numpy", "scipy", "learn2learn", "easyfsl", "qpth", "cvxpy", "scikit-learn", "torchvision")
_REPOSITORY = Path(__file__).parent.parent


@dataclass(frozen=True)
class Timing:
    """How long one contestant took, in seconds, run by run."""

    seconds: tuple[float, ...]  # one a round, the warm-up left out

    @property
    def median(self) -> float:
        """Median over the rounds."""
        return statistics.median(self.seconds)

    def facts(self, items: int = 1) -> dict[str, Any]:
        """For the JSON: median, least and most seconds, and items (episodes, problems) a second by the median."""
        return {
            "median_s": self.median,
            "min_s": min(self.seconds),
            "max_s": max(self.seconds),
            "rounds": len(self.seconds),
            "items": items,
            "items_per_s": items / self.median,
        }


def time_in_turn(
    contestants: Mapping[str, Callable[[], object]],
    rounds: int = 5,
    warm_ups: int = 1,
) -> dict[str, Timing]:
    """Time the contestants in turn, A B C A B C ..., so that whatever slows the machine down meanwhile hits them all.

    On a GPU every contestant is waited for. As in ``timeit``, the garbage collector rests meanwhile: it costs
    those most who make many small Python objects, and how much depends on whatever else the process holds.

    Args:
        contestants: what to run, by name.
        rounds: how many times each is timed.
        warm_ups: how many rounds go first, untimed.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(-warm_ups, rounds):
        for name, run in contestants.items():
            with _collector_at_rest():
                _wait()
                start = time.perf_counter()
                run()
                _wait()
                took = time.perf_counter() - start
            if number >= 0:
                seconds[name].append(took)
    return {name: Timing(tuple(values)) for name, values in seconds.items()}


def ratio(
    slow: Timing,
    fast: Timing,
    items: tuple[int, int] = (1, 1),  # what one run of the slow and of the fast one does, if they differ
) -> dict[str, float]:
    """How many times faster ``fast`` is per item: the median over rounds of slow / fast, and the least and the most.

    Rounds are compared with their own neighbours, because both then ran under the same load.
    """
    factor = items[1] / items[0]
    pairs = [factor * a / b for a, b in zip(slow.seconds, fast.seconds, strict=True)]
    return {"median": statistics.median(pairs), "min": min(pairs), "max": max(pairs)}


def provenance(device: torch.device | str = "cpu") -> dict[str, Any]:
    """Versions, machine, commit and date; no paths."""
    device = torch.device(device)
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": _git("rev-parse", "HEAD"),
        "dirty": bool(_git("status", "--porcelain", "--untracked-files=no")),
        "versions": versions(),
        "device": {
            "type": device.type,
            "name": torch.cuda.get_device_name(device) if device.type == "cuda" else cpu_model(),
            "cpu": cpu_model(),
            "threads": torch.get_num_threads(),
            "system": f"{platform.system()} {platform.machine()}",
        },
    }


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that are compared; those that are not installed are left out."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def cpu_model() -> str:
    """The processor as it calls itself."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # no Linux
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def write_json(
    path: Path | str,
    results: Mapping[str, Any],
) -> None:
    """Write results as indented JSON, whole or not at all."""
    with atomic_write(Path(path)) as file:
        file.write((json.dumps(results, indent=2) + "\n").encode())


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A plain table: the first column to the left, figures to the right."""
    widths = [max(len(row[k]) for row in (head, *rows)) for k in range(len(head))]
    for row in (head, ["-" * width for width in widths], *rows):
        cells = [
            cell.ljust(width) if not k else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())


def _git(*arguments: str) -> str | None:
    """Output of a git command in the repository; None where there is no git or no repository."""
    try:
        done = subprocess.run(["git", *arguments], cwd=_REPOSITORY, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


@contextmanager
def _collector_at_rest() -> Iterator[None]:
    was_on = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _wait() -> None:
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.synchronize()
