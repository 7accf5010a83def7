"""Whether a run is tested is told from what lies in its folder; its network is not built to find out."""

from pathlib import Path

import torch
import yaml

from fewshot_sla.backbones import Conv4
from fewshot_sla.classification.kind import CLASSIFICATION
from fewshot_sla.classification.predictions import Predictions
from fewshot_sla.classification.results import summarize_classes
from fewshot_sla.runs import checkpoint
from fewshot_sla.runs.folder import RunFolder, write_text
from fewshot_sla.runs.results import save_results
from tests.tiny import TinyClasses


class NeverBuilt(Conv4):
    def __init__(self) -> None:
        raise AssertionError("the network must not be built")


def run_folder(path: Path) -> RunFolder:
    folder = RunFolder(path)
    objective = {
        "class_path": "fewshot_sla.classification.SLA",
        "init_args": {"transformations": {"class_path": "episodes.Rotation"}},
    }
    config = {
        "data": {"class_path": "tests.tiny.TinyClasses"},
        "objective": objective,
        "backbone": {"class_path": "tests.fewshot_sla.classification.test_testing.NeverBuilt"},
    }
    write_text(folder.config, yaml.safe_dump(config))
    trained(folder, step=7)
    return folder


def trained(folder: RunFolder, step: int) -> None:
    checkpoint.save_checkpoint(folder.best, {"x": torch.zeros(1)}, {"program": "train", "best": {"step": step}})


def add_results(folder: RunFolder, *inferences: str, crops: int = 1) -> None:
    images = TinyClasses().open("test")
    found = Predictions(images.labels, {name: torch.zeros(len(images), 1, 4) for name in inferences})
    results = summarize_classes(found, images, [12] * 4, primary="aggregated", step=7, crops=crops)
    save_results(folder, results, {}, images, {})


def test_a_run_is_tested_by_every_inference_with_the_weights_and_images_of_now(tmp_path: Path) -> None:
    folder = run_folder(tmp_path)
    assert not CLASSIFICATION.results(folder, "test")
    add_results(folder, "single")
    assert not CLASSIFICATION.results(folder, "test")
    add_results(folder, "aggregated", crops=10)
    assert not CLASSIFICATION.results(folder, "test")
    add_results(folder, "aggregated")
    assert CLASSIFICATION.results(folder, "test")
    assert not CLASSIFICATION.results(folder, "val")
    trained(folder, step=8)
    assert not CLASSIFICATION.results(folder, "test")
    trained(folder, step=7)
    folder.config.write_text(
        folder.config.read_text().replace("TinyClasses", "TinyClasses\n  init_args: {per_class: 9}")
    )
    assert not CLASSIFICATION.results(folder, "test")
