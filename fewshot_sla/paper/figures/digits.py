"""The experiment behind figure 2 (section 3.2): linear classifiers of two digits, with and without joint labels.

The paper names neither the rotations nor the number of training images nor the weight decay; those here are choices.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from episodes.errors import UserError
from episodes.images.labelled import LabelledImages
from episodes.labels import flatten_pairs, joint_label
from episodes.transformations import Transformations
from fewshot_sla.inference import CLASS_AGGREGATED, JOINT_AGGREGATED, JOINT_SINGLE, conditional_logits

UPRIGHT, ROTATED = "upright", "rotated"  # test images as they are; every view of them as a test image of its own
JOINT, GIVEN, TRANSFORMATION = "SLA, joint label", "SLA, class", "MT, transformation"
METHODS = {
    UPRIGHT: ("baseline", "DA", "DA, all views", "MT", "SLA+SI", "SLA+AG"),
    ROTATED: ("baseline", "DA", "MT", JOINT, GIVEN, TRANSFORMATION),
}
Measure = tuple[str, str]  # what is tested on, and how the digit is told: a key and a name of METHODS
WEIGHT_DECAY = 1e-4  # as in the paper's larger experiments; it does not say what the toy has
_TOLERANCE, _MOST_ITERATIONS = 1e-6, 20_000
_PERPLEXITY = 30


class LinearClassifier(NamedTuple):
    """Softmax regression: logits ``x @ weights.T + biases`` of rows x [..., D]."""

    weights: Tensor  # [W, D] float64
    biases: Tensor  # [W] float64

    def logits(
        self,
        rows: Tensor,  # [..., D] float64
    ) -> Tensor:  # [..., W]
        """Score of each of the W labels."""
        return rows @ self.weights.T + self.biases


class DigitModels(NamedTuple):
    """What is trained for one pair of digits: ``label`` is DA's model, and with ``transformation`` MT's.

    MT minimises the sum of two losses over one network. A linear model is nothing but its layers, so no weight is in
    both losses, and the layer for the class is the one that DA finds.
    """

    baseline: LinearClassifier
    label: LinearClassifier
    transformation: LinearClassifier
    joint: LinearClassifier


def fit_softmax(
    rows: Tensor,  # [R, D] float64
    labels: Tensor,  # [R] int64, 0..ways-1, each occurring
    ways: int,
    weight_decay: float = WEIGHT_DECAY,
) -> LinearClassifier:
    """The one minimum of ``mean cross-entropy + weight_decay / 2 * sum of the squared weights``; biases are free.

    The mean is over all rows, so M views of each image weigh as much against the weight decay as the image alone.
    """
    from sklearn.linear_model import LogisticRegression

    if ways == 1:  # a question with one answer
        return LinearClassifier(rows.new_zeros(1, rows.shape[1]), rows.new_zeros(1))
    # For two labels scikit-learn fits w = w_1 - w_0 and decays |w|^2. The best w_1 and w_0 are w/2 and -w/2, for which
    # the softmax decays half of that; hence the 2.
    strength = (2 if ways == 2 else 1) / (weight_decay * len(rows))
    model = LogisticRegression(C=strength, tol=_TOLERANCE, max_iter=_MOST_ITERATIONS)
    model.fit(rows.numpy(), labels.numpy())
    weights, biases = torch.from_numpy(model.coef_), torch.from_numpy(model.intercept_)
    if ways == 2:
        weights, biases = torch.cat([-weights, weights]) / 2, torch.cat([-biases, biases]) / 2
    return LinearClassifier(weights, biases)


def fit_models(
    images: Tensor,  # [n, C, H, W] float64
    labels: Tensor,  # [n] int64, 0..ways-1
    ways: int,
    transformations: Transformations,
    weight_decay: float = WEIGHT_DECAY,
) -> DigitModels:
    """Train by label alone, and on all views by label (DA, MT), by transformation (MT), and by both jointly (SLA).

    Lee et al., ICML 2020: MT is equation 1, DA equation 2, SLA equation 3.
    """
    m = transformations.m
    views = _rows(transformations(images), m)  # [n * M, D]
    label, transformation = torch.broadcast_tensors(labels[:, None], torch.arange(m))  # [n, M]
    joint = joint_label(label, transformation, m)

    def fit(labels: Tensor, ways: int) -> LinearClassifier:
        return fit_softmax(views, flatten_pairs(labels, 0), ways, weight_decay)

    return DigitModels(
        baseline=fit_softmax(images.flatten(1), labels, ways, weight_decay),
        label=fit(label, ways),
        transformation=fit(transformation, m),
        joint=fit(joint, ways * m),
    )


def accuracies(
    models: DigitModels,
    images: Tensor,  # [n, C, H, W] float64
    labels: Tensor,  # [n] int64
    transformations: Transformations,
) -> dict[Measure, float]:
    """Share of right answers by each of METHODS: on the images as they are, and on every view of them.

    Of a rotated image, JOINT is right if class and transformation both are; GIVEN knows the transformation and compares
    the classes alone; TRANSFORMATION is how well MT's other layer tells it.
    """
    return {
        **{(UPRIGHT, name): share for name, share in _on_upright(models, images, labels, transformations).items()},
        **{(ROTATED, name): share for name, share in _on_rotated(models, images, labels, transformations).items()},
    }


def _on_upright(
    models: DigitModels, images: Tensor, labels: Tensor, transformations: Transformations
) -> dict[str, float]:
    m = transformations.m
    rows, views = images.flatten(1), _rows(transformations(images), m)
    predictions = {
        "baseline": models.baseline.logits(rows),
        "DA": models.label.logits(rows),
        "DA, all views": CLASS_AGGREGATED.predict(models.label.logits(views), m),
        "MT": models.label.logits(rows),
        "SLA+SI": JOINT_SINGLE.predict(models.joint.logits(views), m),
        "SLA+AG": JOINT_AGGREGATED.predict(models.joint.logits(views), m),
    }
    return {name: _share(logits, labels) for name, logits in predictions.items()}


def _on_rotated(
    models: DigitModels, images: Tensor, labels: Tensor, transformations: Transformations
) -> dict[str, float]:
    m = transformations.m
    views = _rows(transformations(images), m)  # [n * M, D]
    label, transformation = torch.broadcast_tensors(labels[:, None], torch.arange(m))  # [n, M]
    joint_labels = flatten_pairs(joint_label(label, transformation, m), 0)
    label, transformation = flatten_pairs(label, 0), flatten_pairs(transformation, 0)
    joint = models.joint.logits(views)
    return {
        "baseline": _share(models.baseline.logits(views), label),
        "DA": _share(models.label.logits(views), label),
        "MT": _share(models.label.logits(views), label),
        JOINT: _share(joint, joint_labels),
        GIVEN: _share(conditional_logits(joint, m).flatten(0, 1), label),
        TRANSFORMATION: _share(models.transformation.logits(views), transformation),
    }


@dataclass(frozen=True)
class PairResult:
    """The accuracies of one pair of digits: for each of METHODS a fraction a seed; test images before rotation."""

    pair: tuple[str, str]
    test_images: int
    by_seed: Mapping[Measure, tuple[float, ...]]

    def mean(self, measure: Measure) -> float:
        """Mean over the seeds."""
        return float(np.mean(self.by_seed[measure]))

    def deviation(self, measure: Measure) -> float:
        """Standard deviation over the seeds (with seeds - 1); not a number for a single seed."""
        values = self.by_seed[measure]
        return float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")


def run_pair(
    train: LabelledImages,
    test: LabelledImages | None,
    pair: tuple[str, str],
    transformations: Transformations,
    per_class: int,
    seeds: int,
    report: Callable[[int], None] = lambda done: None,
) -> PairResult:
    """Fit and test on ``seeds`` random divisions (see :func:`divide`); ``report`` is told how many are done.

    Raises:
        UserError: as :func:`divide` does.
    """
    found: dict[Measure, list[float]] = {}
    for seed in range(seeds):
        (images, labels), (test_images, test_labels) = divide(train, test, pair, per_class, seed)
        models = fit_models(images, labels, len(pair), transformations)
        for measure, value in accuracies(models, test_images, test_labels, transformations).items():
            found.setdefault(measure, []).append(value)
        report(seed + 1)
    return PairResult(pair, len(test_labels), {measure: tuple(values) for measure, values in found.items()})


def divide(
    train: LabelledImages,
    test: LabelledImages | None,  # None: the images of train that were not drawn
    classes: Sequence[str],
    per_class: int,
    seed: int,
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:  # images [n, C, H, W] float64 0..1, labels [n], of each part
    """Draw ``per_class`` training images of each class; which of a class depends on the seed and the class alone.

    Raises:
        UserError: if there is no such class, or it has too few images.
    """
    drawn, rest = [], []
    for name in classes:
        own = _members(train, name)
        left = 1 if test is None else 0
        if per_class + left > len(own):
            raise UserError(
                f"{train.name}: class {name} has {len(own)} images, too few for per_class {per_class}"
                + (" and at least one to test on" if left else "")
                + f"; give at most {len(own) - left}"
            )
        order = np.random.default_rng((seed, train.class_names.index(name))).permutation(len(own))
        drawn.append(own[order[:per_class]])
        rest.append(own[order[per_class:]] if test is None else _members(test, name))
    return _gathered(train, drawn), _gathered(train if test is None else test, rest)


def in_the_plane(
    images: Tensor,  # [n, C, H, W] float64
) -> Tensor:  # [n, 2] float64
    """t-SNE of the pixels (van der Maaten and Hinton, 2008): what looks alike lies together. The same every time."""
    from sklearn.manifold import TSNE

    perplexity = min(_PERPLEXITY, (len(images) - 1) / 3)  # it has to be less than the number of images
    plane = TSNE(perplexity=perplexity, init="pca", random_state=0).fit_transform(images.flatten(1).numpy())
    return torch.from_numpy(plane).double()


def _rows(
    views: Tensor,  # [n, M, C, H, W]
    m: int,
) -> Tensor:  # [n * M, D]
    return flatten_pairs(views.flatten(2), 0)


def _share(
    logits: Tensor,  # [n, W]
    labels: Tensor,  # [n] int64
) -> float:
    return float((logits.argmax(dim=-1) == labels).double().mean())


def _members(images: LabelledImages, name: str) -> Tensor:  # [n] int64, numbers of the images of a class
    if name not in images.class_names:
        raise UserError(f"{images.name}: there is no class {name!r}; the classes are {', '.join(images.class_names)}")
    return torch.nonzero(images.labels == images.class_names.index(name)).flatten()


def _gathered(images: LabelledImages, parts: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """The images of some classes, and labels 0, 1, ... in the order of the classes."""
    labels = torch.cat([torch.full((len(part),), label) for label, part in enumerate(parts)])
    return images.gather(torch.cat(list(parts))).double(), labels
