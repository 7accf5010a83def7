"""Features on disk: the same as computed, one file a support set and model, and never in the way."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from episodes import Rotation
from fewshot_sla.meta import SLA, Plain
from fewshot_sla.prediction.feature_cache import FeatureCache, content_key
from fewshot_sla.prediction.model import PredictionModel
from tests.fewshot_sla.prediction import small

PICTURES = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (5, 1, 28, 28), np.uint8))


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many pictures were embedded, each time."""
    compute, times = PredictionModel.items, []

    def counted(model: PredictionModel, pictures: torch.Tensor) -> torch.Tensor:
        times.append(len(pictures))
        return compute(model, pictures)

    monkeypatch.setattr(PredictionModel, "items", counted)
    return times


def test_the_second_time_nothing_is_computed(tmp_path: Path, computed: list[int]) -> None:
    model = small.model()
    first, second = (FeatureCache(tmp_path / "new").items(model, PICTURES) for _ in range(2))
    assert computed == [5]
    assert torch.equal(first, second)
    assert torch.equal(first, model.items(PICTURES))
    assert len(list((tmp_path / "new").iterdir())) == 1


def test_whatever_sways_the_features_changes_the_key() -> None:
    model = small.model()
    key = content_key(model, PICTURES)
    assert content_key(small.model(), PICTURES.clone()) == key
    others = {
        "pixels": (model, PICTURES ^ 1),
        "order": (model, PICTURES.flip(0)),
        "fewer": (model, PICTURES[:4]),
        "views": (small.model(SLA(Rotation((0, 180)))), PICTURES),
        "no views": (small.model(Plain()), PICTURES),
    }
    changed = small.model()
    with torch.no_grad():
        next(changed.learner.backbone.parameters()).view(-1)[0] += 1e-3
    others["a weight"] = (changed, PICTURES)
    shifted = small.model()
    others["normalisation"] = (
        replace(shifted, normalization=type(shifted.normalization)(torch.tensor([0.2]), torch.tensor([0.3]))),
        PICTURES,
    )
    keys = {name: content_key(*pair) for name, pair in others.items()}
    assert len({key, *keys.values()}) == len(keys) + 1
    with torch.no_grad():
        model.learner.head.scale.mul_(2)  # no feature depends on the head
    assert content_key(model, PICTURES) == key


def test_a_damaged_file_is_made_anew(tmp_path: Path, computed: list[int]) -> None:
    model, cache = small.model(), FeatureCache(tmp_path)
    expected = cache.items(model, PICTURES)
    file = next(tmp_path.iterdir())
    file.write_bytes(b"cut off")
    assert torch.equal(cache.items(model, PICTURES), expected)
    assert torch.equal(cache.items(model, PICTURES), expected)
    assert computed == [5, 5]


def test_a_folder_that_cannot_be_written_to_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    model = small.model()
    assert torch.equal(FeatureCache(tmp_path / "file" / "below").items(model, PICTURES), model.items(PICTURES))


def test_the_files_not_used_for_longest_go_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = small.model()
    cache = FeatureCache(tmp_path)
    sets = [PICTURES ^ number for number in range(4)]
    for age, pictures in enumerate(sets[:3]):
        cache.items(model, pictures)
        os.utime(cache.folder / f"{content_key(model, pictures)}.safetensors", (1000 + age, 1000 + age))
    size = next(tmp_path.iterdir()).stat().st_size
    small_cache = FeatureCache(tmp_path, most_bytes=2 * size)
    small_cache.items(model, sets[0])  # used again
    small_cache.items(model, sets[3])
    left = {path.stem for path in tmp_path.iterdir()}
    assert left == {content_key(model, sets[0]), content_key(model, sets[3])}
