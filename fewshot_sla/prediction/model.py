"""A trained model, ready to look at pictures: from a run folder, or from any network by its class path."""

import copy
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from episodes.errors import UserError
from episodes.images.normalization import Normalization
from episodes.transformations import Transformations
from episodes.views import normalized_views
from fewshot_sla.heads.base import Head
from fewshot_sla.heads.protonet import ProtoNetHead
from fewshot_sla.inference import Inference
from fewshot_sla.meta.learners.base import MetaLearner
from fewshot_sla.meta.learners.embedding import EmbeddingLearner
from fewshot_sla.meta.objectives import SLA, EpisodeObjective, Plain
from fewshot_sla.meta.trained import TrainedRun
from fewshot_sla.prediction.describe import Description, describe
from fewshot_sla.prediction.pictures import Format, Framing
from fewshot_sla.training.modes import evaluation_mode

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # mean and deviation that torchvision's weights expect
_VIEWS_PER_PASS = 512  # views that go through the backbone at once ...
_PIXELS_PER_PASS = 2**22  # ... and pixels (a channel), whichever is less


@dataclass(frozen=True)
class PredictionModel:
    """What predicts, before it has seen any class.

    Attributes:
        learner: with its weights.
        objective: says how to infer, and with which transformations.
        normalization: of the images the learner was trained on.
        image_shape: (C, H, W) of these images.
        name: run folder, file or class path, as messages and reports call it.
        learner_description: class path and arguments of the learner; None if it is to be found out when it is needed.
        notes: what the user should know about this model.
    """

    learner: MetaLearner
    objective: EpisodeObjective
    normalization: Normalization
    image_shape: tuple[int, int, int]
    name: str
    learner_description: Description | None = None
    notes: tuple[str, ...] = ()

    @property
    def transformations(self) -> Transformations:
        """The M views of a picture."""
        return self.objective.transformations

    def format(self, framing: Framing = "crop") -> Format:
        """What pictures are made into."""
        return Format(*self.image_shape, framing)

    def inference(self, name: str = "") -> tuple[str, Inference]:
        """The inference with this name; by default the aggregated one if there is one.

        Raises:
            UserError: if the objective has none of this name.
        """
        found = self.objective.inferences
        name = name or ("aggregated" if "aggregated" in found else self.objective.primary)
        if name not in found:
            raise UserError(f"{self.name}: no inference is called {name!r}; there are {', '.join(found)}")
        return name, found[name]

    def describe_learner(self) -> Description:
        """Class path and arguments of the learner.

        Raises:
            UserError: if they cannot be found out.
        """
        return self.learner_description or describe(self.learner)

    def with_head(self, head: Head | None) -> "PredictionModel":
        """The same backbone with a head of its own (not a copy), or this model if there is none.

        Raises:
            UserError: if the learner is not a backbone with a head.
        """
        if head is None:
            return self
        if not isinstance(self.learner, EmbeddingLearner):
            raise UserError(f"{self.name}: a {type(self.learner).__name__} has no head that could be replaced")
        described = self.learner_description
        if described is not None:
            described = _with_head(described, head)
        learner = EmbeddingLearner(self.learner.backbone, head)
        return replace(self, learner=learner, learner_description=described)

    def with_transformations(self, transformations: Transformations | None) -> "PredictionModel":
        """The same with other views; a model without views is then read as SLA reads its own."""
        if transformations is None:
            return self
        if "aggregated" in self.objective.inferences:
            objective = copy.copy(self.objective)
            objective.transformations = transformations
        else:
            objective = SLA(transformations)
        return replace(self, objective=objective)

    def to(self, device: torch.device) -> "PredictionModel":
        """Move learner and normalisation (in place) to a device."""
        self.learner.to(device)
        self.normalization.to(device)
        return self

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.normalization.mean.device

    def fingerprint(self) -> str:
        """SHA-256 of all that sways the features: weights, normalisation, views, shape of the pictures, device."""
        digest = hashlib.sha256()
        network = self.learner.backbone if isinstance(self.learner, EmbeddingLearner) else self.learner
        facts = (repr(network), self.transformations.names, self.image_shape, self.device.type, torch.__version__)
        digest.update(json.dumps(facts).encode())
        for state in (network.state_dict(), self.normalization.state_dict()):
            for name, tensor in state.items():
                digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
                digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
        return digest.hexdigest()

    def items(
        self,
        pictures: Tensor,  # [n, C, H, W] uint8
        on_progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> Tensor:  # [n, M, D] features, or [n, M, C, H, W] normalised views for learners that adapt to images; float32
        """What episodes are made of: every view of every picture, through the backbone once.

        Raises:
            UserError: if the features are not finite, or the pictures do not fit the model.
        """
        views_per_pass = min(_VIEWS_PER_PASS, _PIXELS_PER_PASS // (self.image_shape[1] * self.image_shape[2]))
        views_of_one = self.transformations.m
        parts = []
        with evaluation_mode(self.learner), torch.no_grad():
            for chunk in pictures.split(max(1, views_per_pass // views_of_one)):
                views = normalized_views(chunk.to(self.device), self.transformations, self.normalization)
                embeds = isinstance(self.learner, EmbeddingLearner)
                parts.append(self.learner.embed(views).float() if embeds else views)  # type: ignore[operator]
                if not bool(torch.isfinite(parts[-1]).all()):
                    raise UserError(f"{self.name}: the features of a picture are not finite; the weights are no good")
                on_progress(sum(map(len, parts)), len(pictures))
        return torch.cat(parts)


def from_run(run: TrainedRun) -> PredictionModel:
    """The model of a run, with the weights of its best validation."""
    return PredictionModel(
        run.recipe.learner,
        run.recipe.objective,
        run.normalization,
        run.image_shape,
        str(run.folder.path),
        run.configuration["learner"],
    )


def from_backbone(
    backbone: "nn.Module",
    image_size: int,
    mean: Sequence[float] = (),
    deviation: Sequence[float] = (),
    name: str = "",
) -> PredictionModel:
    """Any network as a model: a ProtoNet head on its features, one view, pictures of ``image_size`` pixels squared.

    Args:
        backbone: a Backbone (see WrappedBackbone for networks that are none).
        image_size: side of the pictures in pixels.
        mean: of each channel of the images it was trained on, pixels between 0 and 1; by default ImageNet's, for grey
            0.5.
        deviation: of each channel; by default ImageNet's, for grey 0.5.
        name: how messages call it.

    Raises:
        UserError: if the numbers do not fit the network.
    """
    channels = int(getattr(backbone, "in_channels", 3))
    if channels not in (1, 3):
        raise UserError(f"pictures are grey or coloured, so a network must take 1 or 3 channels, not {channels}")
    usual = IMAGENET if channels == 3 else ((0.5,) * channels,) * 2
    statistics = [tuple(given) or default for given, default in zip((mean, deviation), usual, strict=True)]
    for what, numbers in zip(("mean", "deviation"), statistics, strict=True):
        if len(numbers) != channels:
            raise UserError(f"{what} needs a number for each of the {channels} channels, got {list(numbers)}")
    if not all(number > 0 for number in statistics[1]):
        raise UserError(f"deviation must be positive, got {list(statistics[1])}")
    if image_size < 1:
        raise UserError(f"image_size must be at least 1, got {image_size}")
    learner: Any = EmbeddingLearner(backbone, ProtoNetHead())  # type: ignore[arg-type]
    normalization = Normalization(*(torch.tensor(numbers, dtype=torch.float32) for numbers in statistics))
    shape = (channels, image_size, image_size)
    return PredictionModel(learner, Plain(), normalization, shape, name or type(backbone).__name__)


def _with_head(learner: Description, head: Head) -> Description | None:
    """The description of a learner with another head; None if the head cannot be described (only saving needs it)."""
    try:
        described = describe(head)
    except UserError:
        return None
    return {**learner, "init_args": {**learner["init_args"], "head": described}}
