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
from episodes.labelling import Labelling, identity_labelling, joint_labelling, repeated_labelling
from episodes.labels import flatten_pairs
from episodes.targets import Targets
from episodes.transformations import Identity, Transformations
from fewshot_sla.classification.label_losses import CrossEntropy, LabelLoss
from fewshot_sla.classification.views import distillation_loss, view_labels
from fewshot_sla.inference import CLASS_AGGREGATED, CLASS_SINGLE, JOINT_AGGREGATED, JOINT_SINGLE, Inference
from fewshot_sla.inference.accuracy import accuracy

Reduction = Literal["mean", "sum"]


class Standing(NamedTuple):
    """What a loss may know of the training besides the batch."""

    class_counts: Tensor | None = None  # [N] float or integer: training images of each class, all positive
    done: float = 0.0  # share of the training that is behind us, 0 up to 1
    over_pass: Callable[[Tensor], Tensor] | None = None  # means over the batch -> over the pass that it is a part of


class ClassificationObjective(ABC):
    """What a classifier is trained on, and how it predicts.

    An objective of one's own derives from this class, sets the class attributes and gives :meth:`outputs` and
    :meth:`loss`.

    Attributes:
        labelling: how the views of a training batch are labelled.
        inferences: ways to predict from scaled logits, by name; :meth:`predict` scales and calls them.
        primary: name of the inference that the best checkpoint is chosen by.

    Args:
        transformations: the M known transformations.
        label_loss: loss of the class layer, or of the joint one, in which every view of an image counts as one training
            image of its joint label.
        reduction: "mean" or "sum" of the losses of the M transformations; the paper writes the mean.

    Raises:
        UserError: if the reduction is neither.
    """

    labelling: ClassVar[Labelling]
    inferences: ClassVar[Mapping[str, Inference]]
    primary: ClassVar[str] = "single"

    def __init__(
        self,
        transformations: Transformations,
        label_loss: LabelLoss = CrossEntropy(),
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
        targets: Targets,  # [B], 0..N-1
        standing: Standing,
    ) -> Tensor:  # scalar, float32 or float64
        """What is minimised: the mean over the images of the batch."""

    def accuracy(
        self,
        logits: Mapping[str, Tensor],  # {output: [B, M, W] float}
        targets: Targets,  # [B], 0..N-1
    ) -> Tensor:  # scalar float32
        """Share of right answers over all views, among the labels that are trained on."""
        return accuracy(*self.labelled(logits, targets, self.labelling))

    def predict(
        self,
        logits: Mapping[str, Tensor],  # {output: [B, M, W] float}, as the classifier gives them
        inference: str,
    ) -> Tensor:  # [B, N] float32 or float64; its softmax is the probability of each class
        """Class logits by one of the inferences; raises as :meth:`by_view`."""
        by_view = self.by_view(logits, inference)
        return self.inferences[inference].combine(by_view)

    def by_view(
        self,
        logits: Mapping[str, Tensor],  # {output: [B, M, W] float}, as the classifier gives them
        inference: str,
    ) -> Tensor:  # [B, V, N] float32 or float64
        """What each view that an inference asks says of the class.

        Raises:
            UserError: if this objective has no such inference.
        """
        if inference not in self.inferences:
            trained = f"a model trained with {type(self).__name__}"
            raise UserError(f"{trained} has no inference {inference!r}: choose from {', '.join(self.inferences)}")
        chosen = self.inferences[inference]
        rows = chosen.labelling.rows(self.scaled(logits)[chosen.labelling.output], 0)
        return chosen.by_view(rows, self.transformations.m)

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

    def labelled(
        self,
        logits: Mapping[str, Tensor],  # {output: [B, M, W] float}
        targets: Targets,  # [B], 0..N-1
        labelling: Labelling,
    ) -> tuple[Tensor, Targets]:  # [B*V, W], [B*V]
        """The views that a labelling keeps as rows: their logits, by the output that it asks for, and their targets."""
        return labelling.rows(logits[labelling.output], 0), labelling.targets(targets, self.transformations.m)

    def labelled_loss(
        self,
        logits: Mapping[str, Tensor],  # {output: [B, M, W] float}
        targets: Targets,  # [B], 0..N-1
        standing: Standing,
        labelling: Labelling,
    ) -> Tensor:  # scalar, float32 or float64
        """The label loss of the views as a labelling calls them: the mean over images and views."""
        counts = standing.class_counts
        if counts is not None:
            counts = labelling.per_label(counts, self.transformations.m)
        rows = self.labelled(logits, targets, labelling)
        return self.label_loss(*rows, counts, standing.done, standing.over_pass)

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
    """

    labelling: ClassVar[Labelling] = repeated_labelling
    inferences: ClassVar = {"single": CLASS_SINGLE, "aggregated": CLASS_AGGREGATED}

    def outputs(self, classes: int) -> dict[str, int]:
        """One logit a class."""
        return {"class": classes}

    def loss(self, logits: Mapping[str, Tensor], targets: Targets, standing: Standing) -> Tensor:
        """Eq. 2."""
        return self.over_views(self.labelled_loss(logits, targets, standing, self.labelling))


class Baseline(DA):
    """The classifier as it is: no transformations, ``loss(class(x), y)``.

    Args:
        label_loss: loss of the class layer.
    """

    labelling: ClassVar[Labelling] = identity_labelling
    inferences: ClassVar = {"single": CLASS_SINGLE}

    def __init__(self, label_loss: LabelLoss = CrossEntropy()) -> None:
        super().__init__(Identity(), label_loss)


class MT(DA):
    """Multi-task learning: every view has the class of its image, and a second layer tells the transformation.

    What is minimised is::

        1/M * sum_j [ loss(class(t_j(x)), y) + cross_entropy(transformation(t_j(x)), j) ]

    Lee et al., ICML 2020, eq. 1. Transformations are balanced whatever the classes are, so their loss is always plain
    cross-entropy.
    """

    def outputs(self, classes: int) -> dict[str, int]:
        """One logit a class, one a transformation."""
        return {"class": classes, "transformation": self.transformations.m}

    def loss(self, logits: Mapping[str, Tensor], targets: Targets, standing: Standing) -> Tensor:
        """Eq. 1; both images of a mixture have the same transformation, so its second label is no mixture."""
        # Scaled: where the label loss wants cosines, the cosines of this layer too are no logits by themselves.
        rows = flatten_pairs(self.label_loss.scaled(logits["transformation"]), 0)
        views = view_labels(targets.labels, self.transformations.m).flatten()
        return super().loss(logits, targets, standing) + self.over_views(functional.cross_entropy(rows, views))


class SLA(ClassificationObjective):
    """Self-supervised label augmentation: every view has the joint label of class and transformation.

    What is minimised is::

        1/M * sum_j loss(joint(t_j(x)), (y, j))

    Lee et al., ICML 2020, eq. 3. Its inferences are SLA+SI (single) and SLA+AG (aggregated, eq. 4).
    """

    labelling: ClassVar[Labelling] = joint_labelling
    inferences: ClassVar = {"single": JOINT_SINGLE, "aggregated": JOINT_AGGREGATED}
    primary = "aggregated"

    def outputs(self, classes: int) -> dict[str, int]:
        """One logit a joint label."""
        return {"joint": classes * self.transformations.m}

    def loss(self, logits: Mapping[str, Tensor], targets: Targets, standing: Standing) -> Tensor:
        """Eq. 3."""
        return self.over_views(self.labelled_loss(logits, targets, standing, self.labelling))


class SLASD(SLA):
    """SLA with self-distillation: a class layer learns from the untransformed image what SLA+AG says of all views.

    What is minimised is::

        SLA loss + T^2 * KL(P_aggregated || P_class(x)) + beta * loss(class(x), y)

    Lee et al., ICML 2020, eq. 5, where T is 1. P_aggregated is a constant: the class layer follows it, not the reverse.
    Its inferences are SLA+SD (distilled, one view), SLA+SI (single) and SLA+AG (aggregated). A mixture is one image
    like any other: teacher and student see the same one.

    Args:
        transformations: the M known transformations.
        label_loss: loss of the joint layer, and with beta of the class layer.
        reduction: "mean" or "sum" of the SLA losses of the M transformations; the other two terms have one view only.
        beta: 0 or 1, whether the class layer learns from labels too; the authors' program has 1.
        temperature: T, softens both distributions of the distillation; positive.

    Raises:
        UserError: if beta is neither 0 nor 1, or the temperature not positive and finite.
    """

    inferences: ClassVar = {"distilled": CLASS_SINGLE, **SLA.inferences}
    primary = "distilled"

    def __init__(
        self,
        transformations: Transformations,
        label_loss: LabelLoss = CrossEntropy(),
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

    def loss(self, logits: Mapping[str, Tensor], targets: Targets, standing: Standing) -> Tensor:
        """Eq. 5."""
        student, teacher = self.predict(logits, "distilled"), self.predict(logits, "aggregated")
        loss = super().loss(logits, targets, standing) + distillation_loss(student, teacher, self.temperature)
        if self.beta:
            loss = loss + self.labelled_loss(logits, targets, standing, identity_labelling)
        return loss
