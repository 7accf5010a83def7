"""The doors of the companion trainer, run in this process on tiny images."""

from pathlib import Path

from fewshot_sla import compare as comparison
from fewshot_sla import study, test, train
from fewshot_sla.classification.results import ClassificationResult
from fewshot_sla.cli.door import run_door
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.runs.results import read_results

OBJECTIVES = "fewshot_sla.classification.objectives"
ROTATION = "--objective.transformations=episodes.Rotation"
LOSS = "--objective.label_loss=fewshot_sla.classification.label_losses"
REWEIGHTING = "--objective.label_loss.reweighting=fewshot_sla.classification.reweighting.ClassBalanced"

SMALL = ("--backbone.channels=4", "--backbone.blocks=2")
TINY = (
    "--data=tests.tiny.TinyClasses",
    "--batch_size=8",
    "--optimizer.lr=0.05",
    "--schedule.milestones=[]",
    "--schedule.factors=[]",
    "--accelerator=cpu",
)


def objective(name: str) -> tuple[str, ...]:
    """Options for an objective; all but Baseline with rotations."""
    chosen = f"--objective={OBJECTIVES}.{name}"
    return (chosen,) if name == "Baseline" else (chosen, ROTATION)


def train_classifier(folder: Path, *arguments: str, steps: int = 6) -> int:
    loop = (f"--loop.steps={steps}", "--loop.validate_every=3", "--loop.log_every=1")
    backbone = () if any(word.startswith("--backbone=") for word in arguments) else SMALL
    return run_door(train.main, [*TINY, *backbone, *loop, f"--run_folder={folder}", *arguments])


def run_class_test(*arguments: str | Path) -> int:
    return run_door(test.main, [*map(str, arguments), "--accelerator=cpu"])


def compare(*arguments: str | Path) -> int:
    return run_door(comparison.main, [*map(str, arguments)])


def run_study(*arguments: str) -> int:
    """A study in this process."""
    return run_door(study.main, ["--workers=1", *arguments])


def results_of(folder: Path) -> list[ClassificationResult]:
    return read_results(RunFolder(folder), ClassificationResult)
