"""Training objectives of a classifier: Baseline, DA, MT, SLA, SLA+SD; each says what is trained on and how to infer.

A classifier maps the views [B, M, C, H, W] of a batch to the logits [B, M, W] of each of its outputs. The outputs are
"class" (W = N), "transformation" (W = M) and "joint" (W = N*M, in the order of ``episodes/labels.py``).
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar, Literal, NamedTuple, get_args

from torch import Tensor
from torch.nn import functional

from episodes.errors import UserError
from episodes.labels import flatten_pairs
from episodes.transformations import Identity, Transformations
from fewshot_sla.classification import views
from fewshot_sla.classification.label_losses import CrossEntropy, LabelLoss

Inference = Callable[[Mapping[str, Tensor], int], Tensor]  # ({output: [B, M, W], scaled}, M) -> [B, N]
Reduction = Literal["mean", "sum"]


class Standing(NamedTuple):
    """What a loss may know of the training besides the batch."""

    class_counts: Tensor | None = None  # [N] float or integer: training images of each class, all positive
    done: float = 0.0  # share of the training that is behind us, 0 up to 1


class ClassificationObjective(ABC):
    """What a classifier is trained on, and how it predicts.

    An objective of one's own derives from this class, sets the class attributes and gives :meth:`outputs`,
    :meth:`loss` and :meth:`accuracy`.

    Attributes:
        inferences: ways to predict from scaled logits, by name; :meth:`predict` scales and calls them.
        primary: name of the inference that the best checkpoint is chosen by.

    Args:
        transformations: the M known transformations.
        label_loss: loss of the class layer, or of the joint one.
        reduction: "mean" or "sum" of the losses of the M transformations.

    Raises:
        UserError: if the reduction is neither.
    """

    inferences: ClassVar[Mapping[str, Inference]]
    primary: ClassVar[str] = "single"

    def __init__(
        self,
        transformations: Transformations,
        label_loss: LabelLoss = CrossEntropy(),  # noqa: B008 - it has no state to share
        reduction: Reduction = "mean",
    ) -> None:
        if reduction not in get_args(Reduction):
            raise UserError(f"reduction must be 'mean' or 'sum', got {reduction!r}")
        self.transformations = transformations
        self.label_loss = label_loss
        self.reduction: Reduction = reduction

    @abstractmethod
    def outputs(self, classes: int) -> dict[str, int]:
        """The outputs that the classifier needs for N classes, and their sizes."""

    @abstractmethod
    def loss(
        self,
        logits: Mapping[str, Tensor],  # {output: [B, M, W] float}
        labels: Tensor,  # [B] int64, 0..N-1
        standing: Standing,
    ) -> Tensor:  # scalar, float32 or float64
        """What is minimised: the mean over the images of the batch."""

    @abstractmethod
    def accuracy(
        self,
        logits: Mapping[str, Tensor],  # {output: [B, M, W] float}
        labels: Tensor,  # [B] int64, 0..N-1
    ) -> Tensor:  # scalar float32
        """Share of right answers over all views, among the labels that are trained on."""

    def predict(
        self,
        logits: Mapping[str, Tensor],  # {output: [B, M, W] float}, as the classifier gives them
        inference: str,
    ) -> Tensor:  # [B, N] float32 or float64; its softmax is the probability of each class
        """Class logits by one of the inferences.

        Raises:
            UserError: if this objective has no such inference.
        """
        if inference not in self.inferences:
            raise UserError(
                f"a model trained with {type(self).__name__} has no inference {inference!r}: "
                f"choose from {', '.join(self.inferences)}"
            )
        return self.inferences[inference](self.scaled(logits), self.transformations.m)

    def scaled(
        self,
        logits: Mapping[str, Tensor],  # {output: [B, M, W] float}, as the classifier gives them
    ) -> dict[str, Tensor]:  # {output: [B, M, W] float32 or float64}
        """Logits whose softmax is what each output believes, in float32 or better."""
        return {output: self.label_loss.scaled(values) for output, values in logits.items()}

    def check(
        self,
        class_counts: Tensor | None,  # [N] training images of each class
    ) -> None:
        """Raise UserError if the label loss cannot work with these counts; called once, before training starts."""
        self.label_loss.check(class_counts)

    def over_views(
        self,
        loss: Tensor,  # scalar: mean over images and views
    ) -> Tensor:  # scalar
        """Mean or sum over the M transformations, whichever was asked for."""
        return loss * self.transformations.m if self.reduction == "sum" else loss


class DA(ClassificationObjective):
    """Data augmentation: every view has the class of its image.

    What is minimised is::

        1/M * sum_j loss(class(t_j(x)), y)

    Lee et al., ICML 2020, eq. 2. Its aggregated inference is test-time augmentation: the mean logits over the views.

    Args:
        transformations: the M known transformations.
        label_loss: loss of the class layer.
        reduction: "mean" or "sum" of the losses of the M transformations; the paper writes the mean.
    """

    inferences: ClassVar = {"single": views.class_single, "aggregated": views.class_aggregated}

    def outputs(self, classes: int) -> dict[str, int]:
        """One logit a class."""
        return {"class": classes}

    def loss(self, logits: Mapping[str, Tensor], labels: Tensor, standing: Standing) -> Tensor:
        """Eq. 2."""
        rows, targets = flatten_pairs(logits["class"], 0), views.class_labels(labels, self.transformations.m).flatten()
        return self.over_views(self.label_loss(rows, targets, standing.class_counts, standing.done))

    def accuracy(self, logits: Mapping[str, Tensor], labels: Tensor) -> Tensor:
        """Among the classes."""
        return views.share_of_right_answers(logits["class"], views.class_labels(labels, self.transformations.m))


class Baseline(DA):
    """The classifier as it is: no transformations, ``loss(class(x), y)``.

    Args:
        label_loss: loss of the class layer.
    """

    inferences: ClassVar = {"single": views.class_single}

    def __init__(self, label_loss: LabelLoss = CrossEntropy()) -> None:  # noqa: B008 - it has no state to share
        super().__init__(Identity(), label_loss)


class MT(DA):
    """Multi-task learning: every view has the class of its image, and a second layer tells the transformation.

    What is minimised is::

        1/M * sum_j [ loss(class(t_j(x)), y) + cross_entropy(transformation(t_j(x)), j) ]

    Lee et al., ICML 2020, eq. 1. Transformations are balanced whatever the classes are, so their loss is always plain
    cross-entropy.

    Args:
        transformations: the M known transformations.
        label_loss: loss of the class layer.
        reduction: "mean" or "sum" of the losses of the M transformations; the paper writes the mean.
    """

    def outputs(self, classes: int) -> dict[str, int]:
        """One logit a class, one a transformation."""
        return {"class": classes, "transformation": self.transformations.m}

    def loss(self, logits: Mapping[str, Tensor], labels: Tensor, standing: Standing) -> Tensor:
        """Eq. 1."""
        # Scaled: where the label loss wants cosines, the cosines of this layer too are no logits by themselves.
        rows = flatten_pairs(self.label_loss.scaled(logits["transformation"]), 0)
        targets = views.view_labels(labels, self.transformations.m).flatten()
        return super().loss(logits, labels, standing) + self.over_views(functional.cross_entropy(rows, targets))


class SLA(ClassificationObjective):
    """Self-supervised label augmentation: every view has the joint label of class and transformation.

    What is minimised is::

        1/M * sum_j loss(joint(t_j(x)), (y, j))

    Lee et al., ICML 2020, eq. 3. Its inferences are SLA+SI (single) and SLA+AG (aggregated, eq. 4).

    Args:
        transformations: the M known transformations.
        label_loss: loss of the joint layer; every view of an image counts as one training image of its joint label.
        reduction: "mean" or "sum" of the losses of the M transformations; the paper writes the mean.
    """

    inferences: ClassVar = {"single": views.joint_single, "aggregated": views.joint_aggregated}
    primary = "aggregated"

    def outputs(self, classes: int) -> dict[str, int]:
        """One logit a joint label."""
        return {"joint": classes * self.transformations.m}

    def loss(self, logits: Mapping[str, Tensor], labels: Tensor, standing: Standing) -> Tensor:
        """Eq. 3."""
        m, counts = self.transformations.m, standing.class_counts
        rows, targets = flatten_pairs(logits["joint"], 0), views.joint_labels(labels, m).flatten()
        counts = None if counts is None else views.joint_counts(counts, m)
        return self.over_views(self.label_loss(rows, targets, counts, standing.done))

    def accuracy(self, logits: Mapping[str, Tensor], labels: Tensor) -> Tensor:
        """Among the joint labels."""
        return views.share_of_right_answers(logits["joint"], views.joint_labels(labels, self.transformations.m))


class SLASD(SLA):
    """SLA with self-distillation: a class layer learns from the untransformed image what SLA+AG says of all views.

    What is minimised is::

        SLA loss + T^2 * KL(P_aggregated || P_class(x)) + beta * loss(class(x), y)

    Lee et al., ICML 2020, eq. 5, where T is 1. P_aggregated is a constant: the class layer follows it, not the reverse.
    Its inferences are SLA+SD (distilled, one view), SLA+SI (single) and SLA+AG (aggregated).

    Args:
        transformations: the M known transformations.
        label_loss: loss of the joint layer, and with beta of the class layer.
        reduction: "mean" or "sum" of the SLA losses of the M transformations; the other two terms have one view only.
        beta: 0 or 1, whether the class layer learns from labels too; the authors' program has 1.
        temperature: T, softens both distributions of the distillation; positive.

    Raises:
        UserError: if beta is neither 0 nor 1, or the temperature not positive and finite.
    """

    inferences: ClassVar = {"distilled": views.class_single, **SLA.inferences}
    primary = "distilled"

    def __init__(
        self,
        transformations: Transformations,
        label_loss: LabelLoss = CrossEntropy(),  # noqa: B008 - it has no state to share
        reduction: Reduction = "mean",
        beta: Literal[0, 1] = 1,
        temperature: float = 1.0,
    ) -> None:
        super().__init__(transformations, label_loss, reduction)
        if beta not in (0, 1):
            raise UserError(f"SLASD beta must be 0 or 1, got {beta}")
        if not 0 < temperature < math.inf:
            raise UserError(f"SLASD temperature must be positive and finite, got {temperature}")
        self.beta = beta
        self.temperature = temperature

    def outputs(self, classes: int) -> dict[str, int]:
        """One logit a joint label, one a class."""
        return {**super().outputs(classes), "class": classes}

    def loss(self, logits: Mapping[str, Tensor], labels: Tensor, standing: Standing) -> Tensor:
        """Eq. 5."""
        student, teacher = self.predict(logits, "distilled"), self.predict(logits, "aggregated")
        loss = super().loss(logits, labels, standing) + views.distillation_loss(student, teacher, self.temperature)
        if self.beta:
            loss = loss + self.label_loss(logits["class"][:, 0], labels, standing.class_counts, standing.done)
        return loss
