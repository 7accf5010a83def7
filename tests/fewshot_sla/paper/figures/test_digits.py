"""Against fits by scipy of the losses as the paper writes them, loops over views, and what symmetry proves."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from episodes.errors import UserError
from episodes.images.labelled import LabelledImages
from episodes.transformations import Identity, Rotation
from fewshot_sla.paper.figures.digits import (
    GIVEN,
    JOINT,
    METHODS,
    ROTATED,
    TRANSFORMATION,
    UPRIGHT,
    DigitModels,
    LinearClassifier,
    PairResult,
    accuracies,
    divide,
    fit_models,
    fit_softmax,
    in_the_plane,
    run_pair,
)

HALF_TURN = Rotation((0, 180))
DECAY = 0.01


def blobs(per_class: int = 15, spread: float = 0.4, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Two classes of grey 4x3 images around a pattern each, some of them on the wrong side."""
    generator = torch.Generator().manual_seed(seed)
    patterns = torch.rand(2, 1, 1, 4, 3, generator=torch.Generator().manual_seed(99), dtype=torch.float64)
    noise = torch.randn(2, per_class, 1, 4, 3, generator=generator, dtype=torch.float64)
    return (patterns + spread * noise).flatten(0, 1), torch.arange(2).repeat_interleave(per_class)


def squares(per_class: int, seed: int) -> tuple[Tensor, Tensor]:
    """The same, 3x3, so that all four rotations are possible."""
    images, labels = blobs(per_class, spread=0.6, seed=seed)
    return images[..., :3, :], labels


def cross_entropy(weights: NDArray, biases: NDArray, rows: NDArray, labels: NDArray) -> float:
    """Mean over rows, one row at a time."""
    total = 0.0
    for row, label in zip(rows, labels, strict=True):
        scores = weights @ row + biases
        total += math.log(sum(math.exp(score) for score in scores)) - scores[label]
    return total / len(rows)


def slow_fit(rows: NDArray, tasks: list[tuple[NDArray, int]]) -> list[tuple[NDArray, NDArray]]:
    """Minimise the sum of the tasks' losses over all their layers at once, by scipy with numerical gradients."""
    width = rows.shape[1]

    def layers(flat: NDArray) -> list[tuple[NDArray, NDArray]]:
        found, start = [], 0
        for _, ways in tasks:
            end = start + ways * (width + 1)
            found.append((flat[start : end - ways].reshape(ways, width), flat[end - ways : end]))
            start = end
        return found

    def loss(flat: NDArray) -> float:
        return sum(
            cross_entropy(weights, biases, rows, labels) + DECAY / 2 * float((weights**2).sum())
            for (weights, biases), (labels, _) in zip(layers(flat), tasks, strict=True)
        )

    size = sum(ways * (width + 1) for _, ways in tasks)
    return layers(minimize(loss, np.zeros(size), method="L-BFGS-B", options={"maxfun": 10**6, "ftol": 1e-13}).x)


def assert_same(model: LinearClassifier, slow: tuple[NDArray, NDArray]) -> None:
    np.testing.assert_allclose(model.weights.numpy(), slow[0], atol=3e-3)
    # A number added to every bias changes no probability.
    np.testing.assert_allclose((model.biases - model.biases.mean()).numpy(), slow[1] - slow[1].mean(), atol=3e-3)


@pytest.mark.parametrize("ways", [2, 3, 4])
def test_softmax_regression_is_the_minimum_of_its_formula(ways: int) -> None:
    generator = np.random.default_rng(0)
    rows, labels = generator.normal(size=(30, 3)), generator.integers(0, ways, 30)
    rows[np.arange(30), labels % 3] += 1
    model = fit_softmax(torch.from_numpy(rows), torch.from_numpy(labels), ways, DECAY)
    assert_same(model, slow_fit(rows, [(labels, ways)])[0])


def test_sla_equals_a_joint_fit_aggregated_by_loops() -> None:
    images, labels = blobs()
    test_images, test_labels = blobs(40, seed=1)
    models = fit_models(images, labels, 2, HALF_TURN, DECAY)

    rows, joint = [], []
    for image, label in zip(images.numpy(), labels.tolist(), strict=True):
        for j in range(2):
            rows.append(np.rot90(image[0], 2 * j).reshape(-1))
            joint.append({(0, 0): 0, (0, 1): 1, (1, 0): 2, (1, 1): 3}[label, j])
    by_hand = LogisticRegression(C=1 / (DECAY * len(rows)), tol=1e-6, max_iter=10_000).fit(np.array(rows), joint)
    right = {"SLA+SI": 0, "SLA+AG": 0}
    for image, label in zip(test_images.numpy(), test_labels.tolist(), strict=True):
        upright = by_hand.decision_function(image[0].reshape(1, -1))[0]
        turned = by_hand.decision_function(np.rot90(image[0], 2).reshape(1, -1))[0]
        right["SLA+SI"] += int(upright[2] > upright[0]) == label
        aggregated = [(upright[0] + turned[1]) / 2, (upright[2] + turned[3]) / 2]
        right["SLA+AG"] += int(aggregated[1] > aggregated[0]) == label
    found = accuracies(models, test_images, test_labels, HALF_TURN)
    assert {name: found[UPRIGHT, name] for name in right} == {name: count / 80 for name, count in right.items()}
    assert 0.5 < found[UPRIGHT, "SLA+SI"] < 1  # neither hopeless nor trivial


def test_rotated_test_images_by_loops() -> None:
    """Every view of every test image, one at a time, by numpy."""
    rotation = Rotation()
    images, labels = squares(15, seed=0)
    test_images, test_labels = squares(20, seed=1)
    models = fit_models(images, labels, 2, rotation, DECAY)
    right = dict.fromkeys(METHODS[ROTATED], 0)
    for image, label in zip(test_images.numpy(), test_labels.tolist(), strict=True):
        for j in range(4):
            row = np.rot90(image[0], j).reshape(-1)

            def best(model: LinearClassifier, row: NDArray = row) -> NDArray:
                return model.weights.numpy() @ row + model.biases.numpy()

            joint = best(models.joint)
            right["baseline"] += int(best(models.baseline).argmax() == label)
            right["DA"] += int(best(models.label).argmax() == label)
            right["MT"] += int(best(models.label).argmax() == label)
            right[JOINT] += int(joint.argmax() == label * 4 + j)
            right[GIVEN] += int((joint[4 + j] > joint[j]) == bool(label))
            right[TRANSFORMATION] += int(best(models.transformation).argmax() == j)
    found = accuracies(models, test_images, test_labels, rotation)
    assert {name: found[ROTATED, name] for name in right} == {name: count / 160 for name, count in right.items()}
    assert len(set(right.values())) > 3  # they are told apart


def test_baseline_and_da_and_mt_equal_a_slow_fit() -> None:
    """MT as one minimisation of the sum of both losses over both layers; its layer for the class is DA's."""
    images, labels = blobs(6)
    models = fit_models(images, labels, 2, HALF_TURN, DECAY)
    rows = np.stack([np.rot90(image[0], 2 * j).reshape(-1) for image in images.numpy() for j in range(2)])
    of_class, of_view = np.repeat(labels.numpy(), 2), np.tile([0, 1], len(images))
    mt_class, mt_view = slow_fit(rows, [(of_class, 2), (of_view, 2)])
    assert_same(models.label, mt_class)
    assert_same(models.transformation, mt_view)
    assert_same(models.baseline, slow_fit(rows[::2], [(labels.numpy(), 2)])[0])


def test_without_transformations_everything_is_the_baseline() -> None:
    images, labels = blobs()
    models = fit_models(images, labels, 2, Identity(), DECAY)
    for model in (models.label, models.joint):
        assert torch.equal(model.weights, models.baseline.weights)
        assert torch.equal(model.biases, models.baseline.biases)
    found = accuracies(models, *blobs(40, seed=1), Identity())
    assert found.pop((ROTATED, TRANSFORMATION)) == 1  # there is only one to guess
    assert set(found.values()) == {found[UPRIGHT, "baseline"]}


def turned(weights: Tensor) -> Tensor:
    """Weights of the 4x3 pixels, the picture they make turned by 180 degrees."""
    return weights.unflatten(-1, (4, 3)).flip(-1, -2).flatten(-2)


def test_the_models_are_as_symmetric_as_their_training_images() -> None:
    """The training views are closed under the turn and the minimum is unique: why DA gains nothing from more views."""
    models = fit_models(*blobs(), 2, HALF_TURN, DECAY)
    torch.testing.assert_close(turned(models.label.weights), models.label.weights, atol=1e-4, rtol=0)
    joint = models.joint.weights.unflatten(0, (2, 2))  # [class, view, D]
    torch.testing.assert_close(turned(joint[:, 0]), joint[:, 1], atol=1e-4, rtol=0)
    torch.testing.assert_close(
        turned(models.transformation.weights[0]), models.transformation.weights[1], atol=1e-4, rtol=0
    )


def test_accuracies_of_given_models() -> None:
    """Images of two pixels, the first of which says the class; the joint model errs on the turned view."""
    images = torch.tensor([[9.0, 0.0], [8.0, 1.0], [1.0, 3.0], [0.0, 4.0]], dtype=torch.float64).view(4, 1, 1, 2)
    labels = torch.tensor([0, 0, 1, 0])

    def model(*rows: tuple[float, float]) -> LinearClassifier:
        return LinearClassifier(torch.tensor(rows, dtype=torch.float64), torch.zeros(len(rows), dtype=torch.float64))

    models = DigitModels(
        baseline=model((1, 0), (0, 1)),  # the greater pixel: right but for the last
        label=model((0, 1), (1, 0)),  # the lesser one: wrong but for the last; over both views a tie, so class 0
        transformation=model((1, 0), (0, 1)),  # "not turned" if the first is greater: for two of four images
        # View 0 as the baseline; view 1, seen turned, the other way round and twice as loud.
        joint=model((1, 0), (2, 0), (0, 1), (0, 2)),
    )
    found = accuracies(models, images, labels, HALF_TURN)
    assert {name: found[UPRIGHT, name] for name in METHODS[UPRIGHT]} == {
        "baseline": 0.75,
        "DA": 0.25,
        "DA, all views": 0.75,
        "MT": 0.25,
        "SLA+SI": 0.75,
        "SLA+AG": 0.25,
    }
    assert found[ROTATED, TRANSFORMATION] == 0.5


def test_a_class_that_is_the_other_one_turned() -> None:
    """The 6 and the 9: made blind to the turn, a classifier can but guess; with joint labels it need not be blind."""
    generator = torch.Generator().manual_seed(0)

    def draw(count: int) -> tuple[Tensor, Tensor]:
        six = torch.zeros(1, 6, 6, dtype=torch.float64)
        six[0, 3:, 1:5] = 1
        both = torch.stack([six, six.flip(-1, -2)])[:, None]
        noise = 0.2 * torch.randn(2, count, 1, 6, 6, generator=generator, dtype=torch.float64)
        return (both + noise).flatten(0, 1), torch.arange(2).repeat_interleave(count)

    found = accuracies(fit_models(*draw(30), 2, HALF_TURN), *draw(200), HALF_TURN)
    assert min(found[UPRIGHT, name] for name in ("baseline", "SLA+SI", "SLA+AG")) > 0.95
    assert found[ROTATED, GIVEN] > 0.95
    assert max(found[UPRIGHT, "DA"], found[UPRIGHT, "DA, all views"], found[ROTATED, "DA"]) < 0.65


def numbered(counts: dict[str, int], name: str = "numbers/train") -> LabelledImages:
    """Images of one pixel whose value says which image it is."""
    labels = torch.tensor([label for label, count in enumerate(counts.values()) for _ in range(count)])
    pixels = torch.arange(len(labels), dtype=torch.uint8).view(-1, 1, 1, 1)
    return LabelledImages(pixels, labels, tuple(counts), name)


def numbers_of(images: Tensor) -> list[int]:
    return (images.flatten() * 255).round().long().tolist()


@given(seed=st.integers(0, 2**32), per_class=st.integers(1, 7))
def test_a_division_uses_every_image_once(seed: int, per_class: int) -> None:
    data = numbered({"1": 8, "9": 12, "4": 5})
    (images, labels), (rest, rest_labels) = divide(data, None, ("9", "1"), per_class, seed)
    assert labels.tolist() == [0] * per_class + [1] * per_class
    assert rest_labels.tolist() == [0] * (12 - per_class) + [1] * (8 - per_class)
    assert sorted(numbers_of(images) + numbers_of(rest)) == list(range(20))
    assert all(8 <= number < 20 for number in numbers_of(images)[:per_class])  # class 9 has these
    again = divide(data, None, ("4", "9"), min(per_class, 4), seed)[0][0]
    assert numbers_of(again)[min(per_class, 4) :] == numbers_of(images)[: min(per_class, 4)]


def test_divisions_differ() -> None:
    data = numbered({"1": 30, "9": 30})
    drawn = {tuple(numbers_of(divide(data, None, ("1", "9"), 5, seed)[0][0])) for seed in range(10)}
    assert len(drawn) == 10


def test_test_images_of_their_own_are_all_used() -> None:
    train, test = numbered({"1": 4, "9": 4}), numbered({"9": 3, "1": 2}, "numbers/test")
    (images, _), (test_images, test_labels) = divide(train, test, ("1", "9"), 4, seed=0)
    assert sorted(numbers_of(images)) == list(range(8))
    assert numbers_of(test_images) == [3, 4, 0, 1, 2]
    assert test_labels.tolist() == [0, 0, 1, 1, 1]


def test_impossible_divisions() -> None:
    train, test = numbered({"1": 4, "9": 6}), numbered({"1": 1}, "numbers/test")
    with pytest.raises(UserError) as caught:
        divide(train, None, ("1", "9"), 4, seed=0)
    assert str(caught.value) == (
        "numbers/train: class 1 has 4 images, too few for per_class 4 and at least one to test on; give at most 3"
    )
    with pytest.raises(UserError) as caught:
        divide(train, test, ("1", "9"), 5, seed=0)
    assert str(caught.value) == "numbers/train: class 1 has 4 images, too few for per_class 5; give at most 4"
    with pytest.raises(UserError) as caught:
        divide(train, test, ("1", "9"), 1, seed=0)
    assert str(caught.value) == "numbers/test: there is no class '9'; the classes are 1"


def test_a_result_for_every_seed() -> None:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (40, 1, 3, 3), generator=generator, dtype=torch.uint8)
    data = LabelledImages(pixels, torch.arange(2).repeat(20), ("6", "9"), "noise")
    told: list[int] = []
    result = run_pair(data, None, ("6", "9"), HALF_TURN, 5, 3, told.append)
    assert told == [1, 2, 3]
    assert result.test_images == 30
    (images, labels), held_out = divide(data, None, ("6", "9"), 5, seed=2)
    expected = accuracies(fit_models(images, labels, 2, HALF_TURN), *held_out, HALF_TURN)
    assert {measure: values[2] for measure, values in result.by_seed.items()} == expected
    assert list(result.by_seed) == [(tested, name) for tested, names in METHODS.items() for name in names]


def test_mean_and_deviation() -> None:
    result = PairResult(("6", "9"), 10, {(UPRIGHT, "DA"): (0.5, 0.7, 0.9), (UPRIGHT, "MT"): (0.5,)})
    assert result.mean((UPRIGHT, "DA")) == pytest.approx(0.7)
    assert result.deviation((UPRIGHT, "DA")) == pytest.approx(0.2)  # 0.04 + 0 + 0.04 over 2
    assert math.isnan(result.deviation((UPRIGHT, "MT")))


def test_what_looks_alike_lies_together() -> None:
    images, labels = blobs(10, spread=0.02)
    plane = in_the_plane(images)
    assert plane.shape == (20, 2)
    distances = torch.cdist(plane, plane).fill_diagonal_(math.inf)
    assert torch.equal(labels[distances.argmin(1)], labels)
    assert torch.equal(in_the_plane(images), plane)
