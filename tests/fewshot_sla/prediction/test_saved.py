"""A predictor as one file: the same predictions to the last bit, no pickle, and no way to smuggle in a call."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import nn

from episodes import ColorPermutation, Composition, Identity, Normalization, Rotation, Subset, UserError
from fewshot_sla.cli.build import build
from fewshot_sla.cli.describe import describe
from fewshot_sla.heads import Head, ProtoNetHead, RidgeHead, SVMHead
from fewshot_sla.meta import DA, SLA, Plain
from fewshot_sla.meta.learners import MAML
from fewshot_sla.meta.learners.base import MetaLearner
from fewshot_sla.prediction.model import PredictionModel
from fewshot_sla.prediction.predictor import Predictor, fit
from fewshot_sla.prediction.saved import load_predictor, save_predictor
from fewshot_sla.runs.checkpoint import load_checkpoint, save_checkpoint
from tests.fewshot_sla.prediction import small
from tests.fewshot_sla.prediction.networks import TimmLike

NETWORKS = "tests.fewshot_sla.prediction.networks"


class OwnHead(Head):
    """Keeps nothing of what it was made of."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.kept = factor

    def logits(self, support, support_labels, query, ways):
        return query[..., :ways] * self.kept


class HiddenTemperature(Head):
    """Keeps its argument under another name."""

    def __init__(self, temperature: float = 1.0) -> None:
        super().__init__()
        self.t = temperature

    def logits(self, support, support_labels, query, ways):
        return query[..., :ways] * self.t


class LogTemperature(Head):
    """Keeps something else under the name of its argument."""

    def __init__(self, temperature: float = 1.0) -> None:
        super().__init__()
        self.temperature = math.log(temperature)

    def logits(self, support, support_labels, query, ways):
        return query[..., :ways] * math.exp(self.temperature)


class Sharpened(nn.Module):
    """Features that depend on what no weight holds."""

    def __init__(self, power: float = 1.0) -> None:
        super().__init__()
        self.power = 1 / power

    def forward(self, images):
        return images.flatten(1).abs() ** (1 / self.power)


def shown(model: PredictionModel, **options) -> Predictor:
    pictures, labels = small.pictures(4, 3)
    channels = model.image_shape[0]
    return fit(model, np.repeat(pictures, channels, axis=1), labels, tuple("abcd"), **options)


def queries(channels: int = 1) -> np.ndarray:
    return np.repeat(small.pictures(4, 5, first=3)[0], channels, axis=1)


def maml() -> PredictionModel:
    learner = MAML(small.network().backbone, ways=4, image_size=(28, 28), adaptation_steps=1)
    return PredictionModel(learner, Plain(), Normalization(torch.tensor([0.1]), torch.tensor([0.3])), (1, 28, 28), "m")


def built() -> PredictionModel:
    """As from a run folder, whose configuration describes the learner."""
    backbone = {"class_path": "fewshot_sla.backbones.Conv4", "init_args": {"in_channels": 1, "channels": 8}}
    head = {"class_path": f"{__name__}.HiddenTemperature", "init_args": {"temperature": 7.0}}
    init_args = {"backbone": backbone, "head": head}
    learner = build(MetaLearner, {"class_path": "fewshot_sla.meta.EmbeddingLearner", "init_args": init_args})
    return replace(small.model(), learner=learner)


MODELS = {
    "of attributes": small.model,
    "of a run": built,
    "another head": lambda: small.model().adapted(SVMHead(C=0.3, scale=2.0, learn_scale=False)),
    "other views": lambda: small.model().adapted(None, Subset(Rotation(), ["identity", "rotate180"])),
    "data augmentation": lambda: small.model(DA(Rotation())),
    "by class path": lambda: small.foreign(f"{NETWORKS}.TimmLike", 28, arguments={"width": 5}),
    "by class path, colours turned": lambda: small.foreign(f"{NETWORKS}.timm_like", 28).adapted(
        RidgeHead(regularization=2.0),
        Composition(Rotation((0, 90)), ColorPermutation(("RGB", "GBR"))),
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_what_was_saved_predicts_the_same(name: str, tmp_path: Path) -> None:
    model = MODELS[name]()
    predictor = shown(model, framing="stretch")
    path = tmp_path / "it.safetensors"
    save_predictor(path, predictor)
    again = load_predictor(path)
    given = queries(model.image_shape[0])
    before, after = predictor.predict(given), again.predict(given)
    assert np.array_equal(before.probabilities, after.probabilities)
    assert np.array_equal(before.agreeing, after.agreeing)
    assert (again.classes, again.names, again.framing) == (predictor.classes, predictor.names, "stretch")
    assert again.inference_name == predictor.inference_name
    assert np.array_equal(again.pictures, predictor.pictures)
    left, left_again = predictor.leave_one_out(), again.leave_one_out()
    assert np.array_equal(left.predicted, left_again.predicted)
    save_predictor(tmp_path / "again.safetensors", again)
    assert np.array_equal(load_predictor(tmp_path / "again.safetensors").predict(given).probabilities, after[0])


def test_labels_may_be_numbers_and_the_metadata_are_json(tmp_path: Path) -> None:
    path = tmp_path / "it.safetensors"
    predictor = replace(shown(MODELS["of a run"]()), classes=(-1, 2, 5, 1000), inverted=True)
    save_predictor(path, predictor)
    again = load_predictor(path)
    assert again.classes == (-1, 2, 5, 1000)
    assert again.inverted
    with safe_open(path, "np") as file:
        state = json.loads(file.metadata()["state"])
    assert state["learner"]["class_path"] == "fewshot_sla.meta.EmbeddingLearner"
    assert state["image_shape"] == [1, 28, 28]


def test_what_cannot_be_made_again_is_not_saved(tmp_path: Path) -> None:
    path = tmp_path / "it.safetensors"
    cases = {
        "OwnHead keeps no attribute 'factor'": small.model().adapted(OwnHead(2.0)),
        "HiddenTemperature keeps no attribute 'temperature'": small.model().adapted(HiddenTemperature(7.0)),
        "its scores would be others; let each constructor keep its arguments unchanged, under their names: "
        f"{__name__}.LogTemperature (temperature); ": small.model().adapted(LogTemperature(7.0)),
        f"{__name__}.Sharpened (power)": small.foreign(Sharpened(3.0), 28, channels=1),
        "Sequential": small.foreign(nn.Sequential(nn.Flatten(), nn.Linear(784, 4)), 28, channels=1),
        "MAML keeps no attribute 'backbone'": maml(),
        "TimmLike keeps no attribute 'in_chans'": small.foreign(TimmLike(width=5), 28),
    }
    for message, model in cases.items():
        with pytest.raises(UserError) as error:
            save_predictor(path, shown(model))
        assert message in str(error.value), str(error.value)
        assert "\n" not in str(error.value)
        assert not list(tmp_path.iterdir())


@pytest.mark.filterwarnings("ignore::DeprecationWarning:jsonargparse")  # it warns of the class path too
def test_a_file_that_names_something_else_than_a_module_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "it.safetensors"
    save_predictor(path, shown(small.foreign(f"{NETWORKS}.TimmLike", 28)))
    tensors, state = load_checkpoint(path)
    evil = tmp_path / "called"
    popen = {"class_path": "subprocess.Popen", "init_args": {"args": ["touch", str(evil)]}}
    state["learner"]["init_args"]["backbone"]["init_args"]["module"] = popen
    save_checkpoint(path, tensors, state)
    with pytest.raises(UserError, match=r"subprocess\.Popen is not a Module"):
        load_predictor(path)
    state["learner"] = popen
    save_checkpoint(path, tensors, state)
    with pytest.raises(UserError, match="MetaLearner"):
        load_predictor(path)
    assert not evil.exists()


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "it.safetensors"
    save_checkpoint(path, {"a": torch.zeros(1)}, {"program": "meta_train"})
    with pytest.raises(UserError, match="not a saved classifier of this version"):
        load_predictor(path)
    path.write_bytes(b"text")
    with pytest.raises(UserError, match="damaged or cut off"):
        load_predictor(path)
    save_predictor(path, shown(MODELS["of a run"]()))
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(UserError, match="damaged or cut off"):
        load_predictor(path)
    save_predictor(path, shown(MODELS["of a run"]()))
    tensors, state = load_checkpoint(path)
    del state["framing"]
    save_checkpoint(path, tensors, state)
    with pytest.raises(UserError, match="the file lacks 'framing'; save the classifier again"):
        load_predictor(path)


def test_files_whose_parts_do_not_fit_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "it.safetensors"
    save_predictor(path, shown(MODELS["of a run"]()))
    tensors, state = load_checkpoint(path)
    for change in (
        {"image_shape": [1, 28]},
        {"image_shape": 3},
        {"image_shape": [1, 14, 28]},
        {"learner": "x"},
        {"objective": None},
        {"classes": state["classes"][:-1]},
        {"classes": [*state["classes"], "more"]},
        {"names": ["x"]},
        {"framing": "squash"},
    ):
        save_checkpoint(path, tensors, {**state, **change})
        with pytest.raises(UserError, match=r"the file is damaged .*; save the classifier again"):
            load_predictor(path)
    for name in ("support.labels", "support.items", "support.pictures"):
        save_checkpoint(path, {**tensors, name: tensors[name][:-1]}, state)
        with pytest.raises(UserError, match=r"are not equally many\); save the classifier again"):
            load_predictor(path)


def test_what_is_to_be_known_of_a_model_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "it.safetensors"
    model = replace(MODELS["of a run"](), notes=("it was given no weights",))
    save_predictor(path, shown(model))
    assert load_predictor(path).model.notes == model.notes


@pytest.mark.parametrize(
    "thing",
    [
        Identity(),
        Rotation((0, 180)),
        ColorPermutation(),
        Composition(Rotation(), ColorPermutation(("RGB", "BGR"))),
        Subset(Rotation(), ["identity", "rotate90"]),
        ProtoNetHead(scale=3.0),
        RidgeHead(regularization=7.0, learn_scale=False),
        SVMHead(C=0.2, solver="qpth"),
        SLA(Rotation(), label_smoothing=0.1),
        Plain(),
    ],
    ids=lambda thing: type(thing).__name__,
)
def test_descriptions_make_an_equal_object(thing) -> None:
    def make(description):
        module, _, name = description["class_path"].rpartition(".")
        arguments = {
            key: make(value) if isinstance(value, dict) else value for key, value in description["init_args"].items()
        }
        return getattr(__import__(module, fromlist=[name]), name)(**arguments)

    said = describe(thing)
    again = make(json.loads(json.dumps(said)))
    assert describe(again) == said
    assert type(again) is type(thing)
    for own in ("names", "scale", "C", "regularization", "solver", "label_smoothing"):
        if hasattr(thing, own):
            assert getattr(again, own) == getattr(thing, own)
