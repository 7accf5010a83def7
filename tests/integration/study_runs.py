"""Small studies of classifiers: their command lines, and what must be equal whoever did the work."""

import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

RECIPES = ("digits+baseline", "digits+sla")
OPTIONS = (
    "--",
    "--data=tests.tiny.TinyClasses",
    "--batch_size=8",
    "--optimizer.lr=0.05",
    "--backbone.channels=4",
    "--accelerator=cpu",
    "--loop.steps=60",
    "--loop.validate_every=20",
    "--loop.log_every=1",
    "--loop.checkpoint_every=5",
)


def study(folder: Path, *options: str, recipes: Sequence[str] = RECIPES) -> list[str]:
    return [*recipes, "--folder", str(folder), *options, *OPTIONS]


def outcome(folder: Path) -> dict[str, Any]:
    """All that must not depend on who did the work: metrics, predictions, results, the study's figures."""
    files = [*folder.glob("*/seed*/metrics.csv"), *folder.glob("*/seed*/predictions/*.csv")]
    found: dict[str, Any] = {str(path.relative_to(folder)): path.read_text() for path in files}
    for path in folder.glob("*/seed*/results.json"):
        found[str(path.relative_to(folder))] = json.loads(path.read_text())["results"]
    rows = json.loads((folder / "study.json").read_text())["rows"]
    return found | {"rows": [{**row, "run_folders": len(row["run_folders"])} for row in rows]}


def sessions(run: Path) -> dict[str, dict[str, Any]]:
    """What each session made of a cell."""
    path = run / ".sessions.json"
    return json.loads(path.read_text()) if path.exists() else {}


def wait_until(true: Callable[[], Any], what: str, seconds: float = 180) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < deadline, what
        time.sleep(0.02)
    return found


def in_training(folder: Path, least: int) -> list[Path]:
    """Runs that have made so many steps and are not done."""
    return [
        path.parent
        for path in folder.glob("*/seed*/metrics.csv")
        if least < path.read_text().count("\n") < 50 and (path.parent / "last.safetensors").exists()
    ]


def children(parent: int) -> list[int]:
    """Processes that a process started, of those that live."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, above = path.read_text().rpartition(")")[2].split()[:2]
        except OSError:  # it has just ended
            continue
        if int(above) == parent and state != "Z":
            found.append(int(path.parent.name))
    return sorted(found)


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
