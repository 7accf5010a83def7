"""Running the doors in this process, which is quick, or in one of their own, where signals and exit codes are real."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from fewshot_sla import compare, meta_test, meta_train
from fewshot_sla.cli.door import run_door

ROOT = Path(__file__).parents[2]

TINY = (
    "--data=tests.tiny.TinyImages",
    "--train.n_query=3",
    "--validation.n_query=3",
    "--validation_episodes=10",
    "--learner.backbone.channels=8",
    "--accelerator=cpu",
)


def train(folder: Path, *arguments: str, steps: int = 4) -> int:
    loop = (f"--loop.steps={steps}", "--loop.validate_every=2", "--loop.log_every=1")
    return run_door(meta_train.main, [*TINY, *loop, f"--run_folder={folder}", *arguments])


def run_test(folder: Path, *arguments: str) -> int:
    small = ("--n_query=3", "--episodes=30", "--accelerator=cpu")
    return run_door(meta_test.main, [str(folder), *small, *arguments])


def compare_runs(*arguments: str) -> int:
    return run_door(compare.main, list(arguments))


def start(module: str, arguments: Sequence[str]) -> subprocess.Popen[str]:
    """A door in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", f"fewshot_sla.{module}", *arguments],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
