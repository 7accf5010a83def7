"""Run folders of train with figures of one's own choice: what the plots read, and nothing else."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
import yaml

from episodes.images.labelled import LabelledImages
from fewshot_sla.classification.predictions import Predictions
from fewshot_sla.classification.results import prediction_tables, summarize_classes
from fewshot_sla.runs import checkpoint
from fewshot_sla.runs.folder import RunFolder, write_text
from fewshot_sla.runs.results import save_results

OBJECTIVES = "fewshot_sla.classification.objectives"


def made_up_run(
    path: Path,
    *,
    counts: Sequence[int] = (50, 50),  # training images of each class
    accuracies: Mapping[str, Sequence[float]] | None = None,  # by inference: of each class; None for a run not tested
    objective: str = f"{OBJECTIVES}.SLA",
    primary: str = "aggregated",  # "" for a run that does not say
    seed: int = 0,
    images: int = 100,  # tested on, of each class
    metrics: str = "",
    shade: int = 0,  # of the test images; another shade is another fingerprint
    program: str = "train",
) -> RunFolder:
    """A run folder; accuracies become as many right predictions as are nearest."""
    folder = RunFolder(path)
    write_text(folder.config, yaml.safe_dump({"objective": {"class_path": objective}, "seed": seed}))
    names = tuple(f"class {number}" for number in range(len(counts)))
    state = {
        "program": program,
        "primary": primary,
        "class_names": list(names),
        "class_counts": list(counts),
        "best": {"step": 7},
    }
    checkpoint.save_checkpoint(folder.best, {"x": torch.zeros(1)}, state)
    if metrics:
        write_text(folder.metrics, metrics)
    if accuracies is not None:
        labels = torch.arange(len(counts)).repeat_interleave(images)
        tested = LabelledImages(
            torch.full((len(labels), 1, 1, 1), shade, dtype=torch.uint8), labels, names, "made/test"
        )
        logits = {name: _logits(labels, values, images) for name, values in accuracies.items()}
        found = Predictions(labels, logits)
        results = summarize_classes(found, tested, counts, primary=primary, step=7)
        save_results(folder, results, prediction_tables(results, found, names), tested, {})
    return folder


def _logits(labels: torch.Tensor, accuracies: Sequence[float], images: int) -> torch.Tensor:
    classes = len(accuracies)
    place = torch.arange(len(labels)) % images
    right = place < (torch.tensor(accuracies) * images).round().long()[labels]
    guesses = torch.where(right, labels, (labels + 1) % classes)
    return torch.nn.functional.one_hot(guesses, classes).float().log().unsqueeze(1)  # certain
