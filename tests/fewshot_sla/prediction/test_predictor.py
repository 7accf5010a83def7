"""A model with a support set: blocks, independence, other heads and views, and what it refuses."""

import numpy as np
import pytest
import torch

from episodes import ColorPermutation, Normalization, Rotation, UserError
from fewshot_sla.heads import RidgeHead
from fewshot_sla.meta import SLA, Plain
from fewshot_sla.meta.learners import MAML
from fewshot_sla.prediction import predictor as module
from fewshot_sla.prediction.load import find_device
from fewshot_sla.prediction.model import PredictionModel
from fewshot_sla.prediction.predictor import fit
from tests.fewshot_sla.prediction import small
from tests.fewshot_sla.prediction.networks import NotFinite, Pixels
from tests.integration.plugins import NearestPixels

NETWORKS = "tests.fewshot_sla.prediction.networks"


def shown(model: PredictionModel | None = None, **options):
    pictures, labels = small.pictures(4, 3)
    return fit(model or small.model(), pictures, labels, tuple("abcd"), **options)


def test_patterns_are_recognised_and_probabilities_sum_to_one() -> None:
    queries, labels = small.pictures(4, 6, first=3)
    seen_as_they_are = small.foreign(Pixels(), 28, channels=1).adapted(None, Rotation())
    for model in (small.model(), seen_as_they_are):
        found = shown(model).predict(queries)
        assert np.allclose(found.probabilities.sum(axis=1), 1)
        assert found.views == 4
        assert 0 <= found.agreeing.min() <= found.agreeing.max() <= 4
    assert found.probabilities.argmax(axis=1).tolist() == labels.tolist()
    assert found.agreeing.tolist() == [4] * 24


def test_blocks_of_queries_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    queries, _ = small.pictures(4, 5, first=3)
    whole = shown().predict(queries)
    monkeypatch.setattr(module, "_BUDGET", 1)
    told = []
    one_by_one = shown().predict(queries, lambda *far: told.append(far))
    assert np.allclose(whole.probabilities, one_by_one.probabilities, atol=1e-6)
    assert told == [("queries", done, 20) for done in range(1, 21)]


def test_a_query_does_not_sway_another_nor_the_model_its_modes() -> None:
    queries, _ = small.pictures(4, 5, first=3)
    predictor = shown()
    predictor.model.learner.train()
    before = {name: value.clone() for name, value in predictor.model.learner.state_dict().items()}
    whole = predictor.predict(queries).probabilities
    assert np.allclose(predictor.predict(queries[7:8]).probabilities[0], whole[7], atol=1e-6)
    assert predictor.model.learner.training
    assert all(torch.equal(value, before[name]) for name, value in predictor.model.learner.state_dict().items())


def test_other_heads_and_views_in_place_of_the_models_own() -> None:
    model = small.model(Plain())
    assert model.inference()[0] == "single"
    turned = model.adapted(RidgeHead(), Rotation())
    assert isinstance(turned.learner.head, RidgeHead)
    assert turned.learner.backbone is model.learner.backbone
    assert (turned.inference()[0], turned.transformations.m) == ("aggregated", 4)
    assert isinstance(model.objective, Plain)
    half = small.model().adapted(None, Rotation((0, 180)))
    assert isinstance(half.objective, SLA)
    assert shown(half).predict(small.pictures(4, 1, first=3)[0]).views == 2


@pytest.mark.parametrize("name", small.objectives())
def test_the_inference_is_the_one_that_chose_the_checkpoint(name: str) -> None:
    objective = small.objectives()[name]
    model = small.model(objective)
    assert model.inference()[0] == shown(model).inference_name == objective.primary
    for chosen in objective.inferences:
        assert shown(model, inference=chosen).inference_name == chosen


def test_learners_without_a_head_are_given_the_views() -> None:
    normalization = Normalization(torch.tensor([0.15]), torch.tensor([0.3]))
    learner = NearestPixels()
    model = PredictionModel(learner, SLA(Rotation()), normalization, (1, 28, 28), "pixels")
    predictor = shown(model)
    queries, _ = small.pictures(4, 4, first=3)
    pixels = small.pictures(4, 3)[0].reshape(4, 3, -1) / 255 / 0.3
    means = pixels.mean(axis=1)
    distances = ((queries.reshape(16, 1, -1) / 255 / 0.3 - means) ** 2).mean(axis=2) ** 0.5
    expected = distances.argmin(axis=1)  # turning both changes no distance, so every view says the same
    found = predictor.predict(queries)
    assert found.probabilities.argmax(axis=1).tolist() == expected.tolist()
    assert found.agreeing.tolist() == [4] * 16
    assert len(predictor.leave_one_out().rows) == 12
    with pytest.raises(UserError, match="pixels: a NearestPixels has no head that could be replaced"):
        model.adapted(RidgeHead())


def test_maml_predicts_the_number_of_classes_it_was_made_for() -> None:
    learner = MAML(small.network().backbone, ways=4, image_size=(28, 28), adaptation_steps=2)
    normalization = Normalization(torch.tensor([0.15]), torch.tensor([0.3]))
    model = PredictionModel(learner, Plain(), normalization, (1, 28, 28), "maml")
    queries, _ = small.pictures(4, 2, first=3)
    predictor = shown(model)
    assert predictor.predict(queries).probabilities.shape == (8, 4)
    assert len(predictor.leave_one_out().rows) == 12
    pictures, labels = small.pictures(3, 2)
    with pytest.raises(UserError, match="the episodes have 3 ways but MAML's classifier has 4 outputs"):
        fit(model, pictures, labels, tuple("abc")).predict(queries)


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (
            lambda: fit(small.model(), *small.pictures(1, 3), ("a",)),
            "there is only one class ('a'): at least two are needed to tell apart",
        ),
        (lambda: fit(small.model(), *small.pictures(2, 3), ("a", "b", "c")), "the class 'c' has no picture"),
        (
            lambda: shown(inference="distilled"),
            "small: no inference is called 'distilled'; there are single, aggregated",
        ),
        (
            lambda: small.model().adapted(None, ColorPermutation()),
            "colour permutation needs images with 3 channels, these have 1; use Rotation, or colour images",
        ),
        (
            lambda: small.foreign(small.network().backbone, 28, mean=(0.5, 0.5)),
            "mean needs a number for each of the 1 channels, got [0.5, 0.5]",
        ),
        (
            lambda: small.foreign(small.network().backbone, 28, deviation=(0.0,)),
            "deviation must be positive, got [0.0]",
        ),
        (lambda: small.foreign(small.network().backbone, 0), "image_size must be at least 1, got 0"),
        (lambda: small.foreign(7, 28), "backbone must be a class path or an nn.Module, not a int"),
        (
            lambda: small.foreign(Pixels(), 28, weights="w.safetensors"),
            "arguments and weights belong to a backbone that is given by class path",
        ),
        (
            lambda: shown(small.foreign(NotFinite(), 28, channels=1)),
            "NotFinite: the features of a picture are not finite; the weights are no good",
        ),
        (lambda: find_device("nothing"), "cannot use device nothing: "),
    ],
)
def test_mistakes(act, message: str) -> None:
    with pytest.raises(UserError) as error:
        act()
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_a_network_without_weights_is_remarked() -> None:
    model = small.foreign(f"{NETWORKS}.Pixels", 28, channels=1)
    assert model.notes == (
        "tests.fewshot_sla.prediction.networks.Pixels was given no weights: its features are those of an "
        "untrained network",
    )


def test_colour_is_normalised_as_imagenet_by_default() -> None:
    model = small.foreign(Pixels(), 4)
    pictures = torch.randint(0, 256, (2, 3, 4, 4), dtype=torch.uint8)
    expected = (pictures / 255 - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)) / torch.tensor(
        [0.229, 0.224, 0.225]
    ).view(3, 1, 1)
    torch.testing.assert_close(model.items(pictures)[:, 0], expected.flatten(1), atol=1e-5, rtol=1e-5)
