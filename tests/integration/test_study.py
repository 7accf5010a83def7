"""A study of few-shot recipes: trained and tested like any other, at 1 and at 5 shots on the same episodes."""

import json
from pathlib import Path

import pytest
import yaml

from fewshot_sla.meta import SLA, Plain
from tests.integration.classification_doors import run_study

SMALL = {
    "data": {"class_path": "tests.tiny.TinyImages", "init_args": {"per_class": 20}},
    "learner": {"init_args": {"backbone": {"init_args": {"channels": 8}}}},
    "train": {"n_way": 5, "k_shot": 1, "n_query": 3},
    "validation": {"n_way": 5, "k_shot": 1, "n_query": 3},
    "validation_episodes": 5,
    "loop": {"steps": 2, "validate_every": 2, "log_every": 1},
    "accelerator": "cpu",
}


@pytest.fixture
def recipes(tmp_path: Path) -> list[str]:
    words = []
    for objective in (Plain, SLA):
        path = tmp_path / f"{objective.__name__.lower()}.yaml"
        path.write_text(yaml.safe_dump({**SMALL, "objective": f"fewshot_sla.meta.{objective.__name__}"}))
        words.append(str(path))
    return words


def test_every_seed_is_tested_at_both_shots_and_nothing_is_done_twice(
    recipes: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipes[1] += "+" + str(tmp_path / "views.yaml")
    (tmp_path / "views.yaml").write_text("objective: {init_args: {transformations: episodes.Rotation}}\n")
    study = (*recipes, "--seeds", "0", "--folder", str(tmp_path / "study"))
    assert run_study(*study) == 0
    assert "1-shot" in capsys.readouterr().out
    rows = json.loads((tmp_path / "study/study.json").read_text())["rows"]
    found = {(row["recipe"], row["setting"], row["inference"]) for row in rows}
    plain = {("plain", shots, "single") for shots in ("1-shot", "5-shot")}
    sla = {("sla_views", shots, name) for shots in ("1-shot", "5-shot") for name in ("single", "aggregated")}
    assert found == plain | sla
    for row in rows:
        for folder, accuracy in zip(row["run_folders"], row["accuracies"], strict=True):
            results = json.loads((Path(folder) / "results.json").read_text())["results"]
            key = ("test", int(row["setting"][0]), row["inference"])
            own = [r for r in results if (r["split"], r["k_shot"], r["inference"]) == key]
            assert [(r["accuracy"], r["episodes"]) for r in own] == [(accuracy, 1000)]
    before = {path: path.read_bytes() for path in (tmp_path / "study").rglob("per_episode/*.csv")}
    stamps = {path: path.stat().st_mtime_ns for path in before if "test" in path.name}
    assert run_study(*study) == 0
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps


def test_wings_are_not_mixed(recipes: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_study(recipes[0], "digits+sla") == 2
    assert "cannot stand in one table" in capsys.readouterr().err
