"""The companion trainer by two processes at once."""

import json
from pathlib import Path

import pytest
import torch

from fewshot_sla import train
from fewshot_sla.runs import checkpoint
from fewshot_sla.runs.metrics import read_metrics
from tests.integration import classification_doors as classification
from tests.integration import doors


def test_two_processes_that_divide_a_pass_train_like_one(tmp_path: Path) -> None:
    """Parts of four and of five images of a long tail, mixed and weighted: the mean over the pass is of all of them.

    So is the norm that gradients are clipped by, and averaged weights are the same.
    """
    options = (
        *classification.TINY,
        *classification.SMALL,
        *classification.objective("SLASD"),
        f"{classification.LOSS}.CrossEntropy",
        classification.REWEIGHTING,
        "--data.counts=[12,6,3,3]",
        "--augmentation=episodes.images.augmentation.Mixup",
        "--batch_size=9",
        "--updates={clip_norm: 0.5, decay: weights, average: 0.9}",
        "--loop.steps=6",
        "--loop.validate_every=3",
        "--loop.log_every=1",
    )
    two, one = tmp_path / "two", tmp_path / "one"
    process = doors.start("train", [*options, "--devices=2", "--sync_batchnorm=true", f"--run_folder={two}"])
    assert doors.run_door(train.main, [*options, f"--run_folder={one}"]) == 0
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    rows = [read_metrics(path / "metrics.csv") for path in (one, two)]
    for name in ("loss", "accuracy"):
        values = [[row[name] for row in found] for found in rows]
        assert values[0] == pytest.approx(values[1], rel=1e-4), name
    results = [json.loads((path / "results.json").read_text())["results"] for path in (one, two)]
    assert [r["accuracy"] for r in results[0]] == pytest.approx([r["accuracy"] for r in results[1]], abs=0.03)
    (alone, _), (together, _) = (checkpoint.load_checkpoint(path / "last.safetensors") for path in (one, two))
    assert any(name.startswith("average.") for name in alone)
    for name in alone:
        torch.testing.assert_close(
            together[name], alone[name], rtol=1e-3, atol=1e-4, msg=lambda text, name=name: f"{name}: {text}"
        )
