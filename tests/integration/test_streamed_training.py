"""Photographs in files through the doors of the classifier; and data whose classes are transformations already."""

from pathlib import Path

import pytest

from fewshot_sla import test, train
from fewshot_sla.cli.door import run_door
from tests.episodes.images.photographs import write_photographs
from tests.integration import doors


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_photographs(tmp_path_factory.mktemp("photographs") / "zoo")


def train_on(root: Path, folder: Path, *arguments: str, steps: int = 4) -> int:
    options = (
        "--data=episodes.datasets.StreamedFolders",
        f"--data.root={root}",
        "--data.image_size=32",
        "--objective=SLA",
        "--backbone=fewshot_sla.backbones.Conv4",
        "--backbone.in_channels=3",
        "--backbone.channels=8",
        "--batch_size=6",
        "--schedule=fewshot_sla.training.schedules.Constant",  # so that a run may be lengthened
        f"--loop.steps={steps}",
        "--loop.validate_every=2",
        "--loop.log_every=1",
        "--accelerator=cpu",
        f"--run_folder={folder}",
    )
    return run_door(train.main, [*options, *arguments])


def test_training_is_the_same_whatever_reads_the_files(root: Path, tmp_path: Path) -> None:
    metrics = []
    for workers in (0, 2):
        folder = tmp_path / f"workers{workers}"
        assert train_on(root, folder, f"--data.workers={workers}") == 0
        metrics.append((folder / "metrics.csv").read_text())
    assert len(metrics[0].splitlines()) == 5
    assert metrics[0] == metrics[1]
    assert run_door(test.main, [str(tmp_path / "workers0"), "--accelerator=cpu"]) == 0


def test_training_goes_on_from_the_middle_of_an_epoch(root: Path, tmp_path: Path) -> None:
    assert train_on(root, tmp_path / "whole", "--data.workers=2") == 0
    assert train_on(root, tmp_path / "parts", "--data.workers=0", steps=2) == 0
    more = ["--resume", f"--run_folder={tmp_path / 'parts'}", "--loop.steps=4"]
    assert run_door(train.main, more) == 0
    whole, parts = ((tmp_path / name / "metrics.csv").read_text() for name in ("whole", "parts"))
    assert whole == parts


def test_a_broken_photograph_ends_the_training_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_photographs(tmp_path / "zoo") / "train" / "cat" / "3.gif"
    path.write_bytes(b"GIF89a")
    assert train_on(tmp_path / "zoo", tmp_path / "run", "--data.workers=2") == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith(f"error: {path}: ")
    assert last.endswith("; mend the file or remove it")


def test_few_shot_learning_refuses_them(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = [
        "--data=episodes.datasets.StreamedFolders",
        f"--data.root={root}",
        "--accelerator=cpu",
    ]
    assert run_door(doors.meta_train.main, [*options, f"--run_folder={tmp_path / 'run'}"]) == 2
    assert "error: zoo: the images of StreamedFolders are read while they are trained on" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_classes_that_are_rotations_refuse_label_augmentation_by_rotation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tests.tiny.TinyImages.classes_under", ("rotate90", "rotate180", "rotate270"))
    assert doors.train(tmp_path / "run") == 2
    assert capsys.readouterr().err == (
        "error: tiny: an image changed by rotate90 is an image of another class of this data set, so label "
        "augmentation by rotate90 would give equal images two labels; turn off the option that makes these classes, or "
        "choose transformations without it\n"
    )
    assert not (tmp_path / "run").exists()
    assert doors.train(tmp_path / "run", "--objective=Plain") == 0
