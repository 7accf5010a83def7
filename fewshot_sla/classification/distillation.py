"""Distillation: a classifier that also learns what a trained one says of the same views."""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from lightning_fabric import Fabric
from torch import Tensor

from episodes.errors import UserError
from episodes.images.base import Images
from episodes.images.normalization import Normalization
from fewshot_sla.classification.classifier import Classifier
from fewshot_sla.classification.objectives import ClassificationObjective
from fewshot_sla.classification.recipe import Classification
from fewshot_sla.classification.views import distillation_loss
from fewshot_sla.training.modes import Autocast
from fewshot_sla.training.recipe import Hardware
from fewshot_sla.training.trained import TrainedRun


@dataclass
class _Side:
    """Of student or teacher: how logits are scaled, its views, and its outputs with their sizes."""

    objective: ClassificationObjective
    outputs: Mapping[str, int]


class Teacher:
    """A trained classifier, and how much its opinion counts::

        loss = label_weight * objective + weight * sum_o T^2 / (B M) sum_{b,j} KL(P'_o(t_j(x_b)) || P_o(t_j(x_b)))

    over the outputs o that both have, at temperature T; P' is the teacher's, a constant. Where both learned joint
    labels, these are what is passed on.

    Hinton, Vinyals, Dean, "Distilling the knowledge in a neural network", 2015; a teacher of the student's own
    architecture: Furlanello et al., "Born-again neural networks", ICML 2018, and of base classes Tian et al. (RFS),
    ECCV 2020.

    Args:
        run: the teacher, with the weights that its run keeps.
        recipe: of the student.
        images: that the student is trained on.
        normalization: of these.

    Raises:
        UserError: if it has no output of the student's, other classes, or images of another kind.
    """

    def __init__(
        self,
        run: TrainedRun[Classification, Classifier],
        recipe: Classification,
        images: Images,
        normalization: Normalization,
    ) -> None:
        self.settings = recipe.distillation
        classes, path = len(images.class_names), run.folder.path
        student, teacher = (
            _Side(objective, objective.outputs(classes)) for objective in (recipe.objective, run.recipe.objective)
        )
        if list(images.class_names) != list(run.state["class_names"]) or images.image_shape != run.image_shape:
            raise UserError(f"{path}: the teacher was trained on other classes or images of another shape")
        if not all(
            torch.allclose(getattr(run.normalization, name), getattr(normalization, name), atol=1e-3)
            for name in ("mean", "deviation")
        ):
            raise UserError(f"{path}: the teacher was trained on other images, for it normalises in another way")
        self.outputs = [name for name in student.outputs if name in teacher.outputs]
        if not self.outputs:
            told = [", ".join(side.outputs) for side in (teacher, student)]
            raise UserError(f"{path}: the teacher has the output {told[0]}, the student {told[1]}: nothing in common")
        names = [side.objective.transformations.names for side in (student, teacher)]
        if names[0] != names[1]:
            raise UserError(
                f"{path}: the teacher knows the views {', '.join(names[1])}, the student is trained on "
                f"{', '.join(names[0])}"
            )
        self._student, self._teacher, self._model = student, teacher, run.model.eval()
        self._autocast: Autocast = nullcontext

    def on_device(self, fabric: Fabric, hardware: Hardware) -> None:
        """Where the student is, in its precision."""
        hardware.prepare(self._model.to(fabric.device))
        self._autocast = fabric.autocast

    def loss(
        self,
        labelled: Tensor,  # scalar: loss of the labels
        logits: Mapping[str, Tensor],  # {output: [B, M, W] float} of the student
        views: Tensor,  # [B, M, C, H, W] float, normalised, that they are of
    ) -> Tensor:  # scalar
        """Both losses, weighted."""
        with torch.no_grad(), self._autocast():
            taught = self._teacher.objective.scaled(self._model(views))
        said = self._student.objective.scaled(logits)
        settings = self.settings
        told = [
            distillation_loss(said[name].flatten(0, 1), taught[name].flatten(0, 1), settings.temperature)
            for name in self.outputs
        ]
        return settings.label_weight * labelled + settings.weight * torch.stack(told).sum()
