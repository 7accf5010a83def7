"""``python -m benchmarks.solvers``: the multi-class SVM's dual, against qpth, learn2learn, proxsuite and cvxpylayers.

Features are those of a class-mean model after ReLU, [T, S, 640] float32 of squared norm about 85, shared by all. What
is timed starts from them (each builds the matrices that it needs) and ends with the dual variables, or with the
gradient of the features. Peers that are not installed, calls that would take over a minute, and matrices over the
memory limit are skipped with a line. Residuals are computed from the returned point, in float64, by one function.
"""

import argparse
import contextlib
import importlib.metadata
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.provenance import Timing, print_table, provenance, ratio, time_in_turn, write_json
from benchmarks.solver_peers import CPU_ONLY, REGULARIZATION, SOLVERS, C, Solve
from fewshot_sla.solvers.optimality import Residuals
from fewshot_sla.solvers.svm.residuals import svm_residuals

WAYS, SHOTS, EPISODES = (5, 20, 30, 60, 120), (1, 5, 15), (1, 8, 64)
DIMENSION = 640
GIB = 2**30
BURST = 0.1
"""Seconds that one timing takes at least: short calls are repeated, as in timeit."""
SLOW = 5.0
"""Seconds from which on a contestant's call is timed once only."""
POWER = {"structured": 1.5}  # of the number of variables, to foretell a call; dense solvers: 3
OURS = "structured"


def features_and_labels(
    ways: int, shots: int, episodes: int, device: torch.device
) -> tuple[Tensor, Tensor]:  # [T, S, D] float32 >= 0, [S] int64
    """Means and deviations with standard normal entries, after ReLU and scaled by 0.3."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(ways).repeat_interleave(shots)
    means = torch.randn(episodes, ways, DIMENSION, generator=generator)
    features = means[:, labels] + torch.randn(episodes, len(labels), DIMENSION, generator=generator)
    return (0.3 * features.relu()).to(device), labels.to(device)


def forward(solve: Solve, features: Tensor) -> Tensor:
    """Dual variables, with what a later backward pass needs."""
    return solve(features.detach().requires_grad_())


def forward_backward(solve: Solve, features: Tensor) -> Tensor:
    """Gradient of the features, for a fixed gradient of the dual variables."""
    features = features.detach().requires_grad_()
    return _backward(solve(features), features)


def _backward(alpha: Tensor, features: Tensor) -> Tensor:
    weights = torch.linspace(-1, 1, alpha.numel(), dtype=alpha.dtype, device=alpha.device).view_as(alpha)
    return torch.autograd.grad((alpha * weights).sum(), features)[0]


def once(solve: Solve, features: Tensor) -> tuple[dict[str, Timing], Tensor]:
    """One call, forward and backward timed; and the dual variables."""
    features = features.detach().requires_grad_()
    alpha: list[Tensor] = []

    def seconds(run: Callable[[], object]) -> float:
        return time_in_turn({"once": run}, rounds=1, warm_ups=0)["once"].median

    there = seconds(lambda: alpha.append(solve(features)))
    back = seconds(lambda: _backward(alpha[0], features))
    return {"forward": Timing((there,)), "forward_backward": Timing((there + back,))}, alpha[0].detach()


class Forecast:
    """Whether a call is worth starting, judged by the contestant's earlier ones."""

    def __init__(self, limit: float, memory: float) -> None:
        self.limit, self.memory = limit, memory
        self.seen: dict[str, tuple[int, float]] = {}

    def seconds(self, name: str, variables: int, episodes: int) -> float:
        """Expected duration; 0 if nothing is known."""
        known, each = self.seen.get(name, (variables, 0.0))
        return each * episodes * (variables / known) ** POWER.get(name, 3)

    def objection(self, name: str, rows: int, ways: int, episodes: int) -> str | None:
        """Why not to start, in a few words."""
        numbers = rows * rows * 8 if name == OURS else 6 * (rows * ways) ** 2
        each = 1 if name == "learn2learn" else episodes
        if (needs := 8 * numbers * each) > self.memory:
            return f"would take about {needs / GIB:.0f} GiB"
        if (expected := self.seconds(name, rows * ways, episodes)) > self.limit:
            return f"would take about {expected:.0f} s"
        return None

    def note(self, name: str, variables: int, episodes: int, seconds: float) -> None:
        """Remember a call."""
        self.seen[name] = (variables, seconds / episodes)


def measure(
    ways: int, shots: int, episodes: int, names: Sequence[str], forecast: Forecast, device: torch.device
) -> dict[str, Any]:
    """Time one problem shape; every contestant's facts, or why it was skipped."""
    features, labels = features_and_labels(ways, shots, episodes, device)
    rows = len(labels)
    facts: dict[str, dict[str, Any]] = {}
    solves: dict[str, Solve] = {}
    first: dict[str, dict[str, Timing]] = {}
    for name in names:
        reason = forecast.objection(name, rows, ways, episodes)
        if reason is None:
            try:
                begun = time.perf_counter()
                solve = SOLVERS[name](labels, ways)
                built = time.perf_counter() - begun  # untimed, but no reason to wait for hours
                first[name], alpha = once(solve, features)
            except (RuntimeError, MemoryError, ArithmeticError) as error:  # how peers give up
                reason = f"failed: {(str(error).strip() or type(error).__name__).splitlines()[0]}"
            else:
                took = first[name]["forward_backward"].median
                forecast.note(name, rows * ways, episodes, max(took, built))
                solves[name] = solve
                facts[name] = {"residuals": residuals(alpha, features, labels)}
        if reason is not None:
            print(f"skipped: {name} at {ways}-way {shots}-shot x {episodes} {reason}")
            facts[name] = {"skipped": reason}
    for kind, run in (("forward", forward), ("forward_backward", forward_backward)):
        seconds = {name: timings[kind].median for name, timings in first.items()}
        for name, timing in _timings(run, solves, features, seconds).items():
            facts[name][kind] = timing
    return {"ways": ways, "shots": shots, "episodes": episodes, "variables": rows * ways, "solvers": facts}


def _timings(
    run: Callable[[Solve, Tensor], Tensor], solves: dict[str, Solve], features: Tensor, first: dict[str, float]
) -> dict[str, dict[str, Any]]:
    """Seconds a call, in turn; a contestant whose first call was slow is not asked again."""
    quick = {name: solve for name, solve in solves.items() if first[name] < SLOW}
    repeats = {name: max(1, min(50, int(BURST / first[name]))) for name in solves}
    slowest = max((first[name] for name in quick), default=0.0)
    calls = {name: partial(_several, repeats[name], run, solve, features) for name, solve in quick.items()}
    rounds = 7 if slowest < 0.5 else 3
    timings = time_in_turn(calls, rounds=rounds, warm_ups=1) if calls else {}
    timings |= {name: Timing((first[name],) * rounds) for name in solves if name not in quick}
    found = {}
    for name, timing in timings.items():
        calls_each = repeats[name]
        found[name] = timing.facts(len(features) * calls_each) | {"call_s": timing.median / calls_each}
        found[name]["rounds"] = rounds if name in quick else 1
        if OURS in timings:
            found[name]["times_structured"] = ratio(timing, timings[OURS], (calls_each, repeats[OURS]))
    return found


def _several(calls: int, run: Callable[[Solve, Tensor], Tensor], solve: Solve, features: Tensor) -> None:
    for _ in range(calls):
        run(solve, features)


def residuals(alpha: Tensor, features: Tensor, labels: Tensor) -> dict[str, float]:
    """Largest primal residual, dual residual and gap over the episodes."""
    rows = features.double()
    kernel = rows @ rows.mT + REGULARIZATION * torch.eye(len(labels), dtype=rows.dtype, device=rows.device)
    price = kernel.new_full((len(kernel),), C)
    found: Residuals = svm_residuals(kernel, price, labels.expand(len(kernel), -1), alpha.double())
    return {name: float(value.amax()) for name, value in found._asdict().items()}


def peak_memory(name: str, ways: int, shots: int, episodes: int, device: torch.device) -> float:  # MiB
    """Memory that forward and backward take beyond their inputs; on the CPU, the growth of a process of its own."""
    if device.type == "cuda":
        features, labels = features_and_labels(ways, shots, episodes, device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        forward_backward(SOLVERS[name](labels, ways), features)
        return (torch.cuda.max_memory_allocated(device) - before) / 2**20
    command = [sys.executable, "-m", "benchmarks.solvers", "--peak", name, str(ways), str(shots), str(episodes)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def _grow(name: str, ways: int, shots: int, episodes: int) -> float:
    small, small_labels = features_and_labels(3, 1, 1, torch.device("cpu"))
    forward_backward(SOLVERS[name](small_labels, 3), small)  # loads whatever is loaded on first use
    features, labels = features_and_labels(ways, shots, episodes, torch.device("cpu"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    forward_backward(SOLVERS[name](labels, ways), features)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def installed(device: torch.device) -> Iterator[str]:
    """Contestants that can run here; a line for each that cannot."""
    for name, make in SOLVERS.items():
        if device.type == "cuda" and name in CPU_ONLY:
            print(f"skipped: {name} runs on the CPU only")
            continue
        try:
            make(torch.tensor([0, 1, 2]), 3)
        except ImportError as error:
            print(f"skipped: {name} is not installed ({error})")
        else:
            yield name


def peer_versions() -> dict[str, str]:
    """Versions of the contestants that provenance does not list."""
    found = {}
    for package in ("proxsuite", "cvxpylayers", "diffcp"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def row(cell: dict[str, Any]) -> list[str]:
    """A line of the printed table."""
    line = [f"{cell['ways']}-way {cell['shots']}-shot x {cell['episodes']}", str(cell["variables"])]
    for name in SOLVERS:
        facts = cell["solvers"].get(name, {})
        if "forward_backward" not in facts:
            line.append("-")
            continue
        text = f"{1e3 * facts['forward_backward']['call_s']:.1f}"
        times = facts["forward_backward"].get("times_structured", {}).get("median", 1)
        line.append(text if name == OURS else f"{text} ({times:.1f}x)")
    return line


def main() -> None:
    """Run the grid."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.solvers", description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads, the same for every contestant")
    parser.add_argument("--json", help="write the results to this file")
    parser.add_argument("--plot", help="draw time against variables into this file")
    parser.add_argument("--quick", action="store_true", help="5 and 20 ways, 1 and 5 shots, 1 and 8 episodes")
    parser.add_argument("--episodes", type=int, nargs="+", default=EPISODES, help="episodes a call")
    parser.add_argument("--limit", type=float, default=60, help="seconds that one call may take")
    parser.add_argument("--memory", type=float, default=6, help="GiB that one call may take")
    parser.add_argument("--peak", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.peak:
        print(_grow(options.peak[0], *map(int, options.peak[1:])))
        return
    device = torch.device(options.device)
    names, forecast = list(installed(device)), Forecast(options.limit, options.memory * GIB)
    shapes = [(w, s) for w in WAYS for s in SHOTS if not options.quick or (w <= 20 and s <= 5)]
    cells = []
    for ways, shots in sorted(shapes, key=lambda shape: shape[0] ** 2 * shape[1]):
        for episodes in options.episodes[: 2 if options.quick else None]:
            cell = measure(ways, shots, episodes, names, forecast, device)
            for name, facts in cell["solvers"].items():
                if "forward_backward" in facts and cell["variables"] >= 400 and (name == OURS or episodes == 1):
                    facts["peak_memory_mib"] = peak_memory(name, ways, shots, episodes, device)
            cells.append(cell)
            print("  ".join(row(cell)), flush=True)
            if options.json:  # after every cell: a run cut short has its results too
                settings = {"dimension": DIMENSION, "limit_s": options.limit, "memory_gib": options.memory}
                write_json(options.json, {**provenance(device), "peers": peer_versions(), **settings, "cells": cells})
    print_table(["forward + backward, ms", "variables", *SOLVERS], [row(cell) for cell in cells])
    if options.plot:
        from benchmarks.solver_plot import draw

        draw(cells, options.plot)


if __name__ == "__main__":
    main()
