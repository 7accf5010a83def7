"""A trained model, ready to look at pictures: from a run folder, or from any network by its class path."""

import copy
import hashlib
import json
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from episodes.errors import UserError, first_line
from episodes.images.normalization import IMAGENET_DEVIATION, IMAGENET_MEAN, Normalization
from episodes.progress import OnProgress, no_progress
from episodes.transformations import Transformations
from episodes.views import normalized_views
from fewshot_sla.cli.describe import forget
from fewshot_sla.heads.base import Head
from fewshot_sla.heads.protonet import ProtoNetHead
from fewshot_sla.inference import Inference
from fewshot_sla.inference.passes import images_at_once
from fewshot_sla.meta.learners.base import MetaLearner
from fewshot_sla.meta.learners.embedding import EmbeddingLearner
from fewshot_sla.meta.objectives import SLA, EpisodeObjective, Plain
from fewshot_sla.meta.recipe import MetaTraining
from fewshot_sla.prediction.foreign import ForeignNetwork
from fewshot_sla.prediction.pictures import Format, Framing
from fewshot_sla.training.modes import evaluation_mode
from fewshot_sla.training.randomness import seeded
from fewshot_sla.training.trained import TrainedRun

_VIEWS_PER_PASS = 512  # views that go through the backbone at once, of pictures of up to 90 x 90 pixels


@dataclass(frozen=True)
class PredictionModel:
    """What predicts, before it has seen any class.

    Attributes:
        learner: with its weights.
        objective: says how to infer, and with which transformations.
        normalization: of the images the learner was trained on.
        image_shape: (C, H, W) of these images.
        name: run folder, file or class path, as messages and reports call it.
        notes: what the user should know about this model.
    """

    learner: MetaLearner
    objective: EpisodeObjective
    normalization: Normalization
    image_shape: tuple[int, int, int]
    name: str
    notes: tuple[str, ...] = ()

    @property
    def transformations(self) -> Transformations:
        """The M views of a picture."""
        return self.objective.transformations

    def format(self, framing: Framing = "crop") -> Format:
        """What pictures are made into."""
        return Format(*self.image_shape, framing)

    def inference(self, name: str = "") -> tuple[str, Inference]:
        """The inference with this name; by default the one that the best checkpoint was chosen by.

        Raises:
            UserError: if the objective has none of this name.
        """
        found = self.objective.inferences
        name = name or self.objective.primary
        if name not in found:
            raise UserError(f"{self.name}: no inference is called {name!r}; there are {', '.join(found)}")
        return name, found[name]

    def adapted(self, head: Head | None = None, transformations: Transformations | None = None) -> "PredictionModel":
        """The same backbone with another head (not a copy) and other views, where given.

        A model without views is read as SLA reads its own.

        Raises:
            UserError: if the learner is not a backbone with a head, or the views are none of such pictures.
        """
        model = self
        if head is not None:
            if not isinstance(self.learner, EmbeddingLearner):
                raise UserError(f"{self.name}: a {type(self.learner).__name__} has no head that could be replaced")
            learner = EmbeddingLearner(self.learner.backbone, head, self.learner.passes)
            with seeded(0):
                learner.told(self.image_shape)
            model = replace(model, learner=learner)
        if transformations is not None:
            transformations.check(*self.image_shape)
            model = replace(model, objective=_with_views(self.objective, transformations))
        return model

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
        on_progress: OnProgress = no_progress,
    ) -> Tensor:  # [n, M, D] features, or [n, M, C, H, W] normalised views for learners that adapt to images; float32
        """What episodes are made of: every view of every picture, through the backbone once.

        Raises:
            UserError: if the features are not finite, or the pictures do not fit the model.
        """
        at_once = images_at_once(self.image_shape, self.transformations.m, _VIEWS_PER_PASS)
        parts = []
        with evaluation_mode(self.learner), torch.no_grad():
            for chunk in pictures.split(at_once):
                views = normalized_views(chunk.to(self.device), self.transformations, self.normalization)
                parts.append(self.learner.items(views).float())
                if not bool(torch.isfinite(parts[-1]).all()):
                    raise UserError(f"{self.name}: the features of a picture are not finite; the weights are no good")
                on_progress("pictures", sum(map(len, parts)), len(pictures))
        return torch.cat(parts)


def _with_views(objective: EpisodeObjective, transformations: Transformations) -> EpisodeObjective:
    if "aggregated" not in objective.inferences:
        return SLA(transformations)
    changed = copy.copy(objective)
    changed.transformations = transformations
    forget(changed)
    return changed


def from_run(run: TrainedRun[MetaTraining, MetaLearner]) -> PredictionModel:
    """The model of a run, with the weights of its best validation."""
    recipe = run.recipe
    return PredictionModel(recipe.learner, recipe.objective, run.normalization, run.image_shape, str(run.folder.path))


def from_network(network: ForeignNetwork) -> PredictionModel:
    """A network from elsewhere as a model: a ProtoNet head on its features, one view; it has looked at a picture once.

    Raises:
        UserError: if the network cannot be made, the numbers do not fit it, or it cannot take such pictures.
    """
    backbone = network.build()
    channels = backbone.in_channels
    if channels not in (1, 3):
        raise UserError(f"pictures are grey or coloured, so a network must take 1 or 3 channels, not {channels}")
    if network.image_size < 1:
        raise UserError(f"image_size must be at least 1, got {network.image_size}")
    notes = f"{network.name} was given no weights: its features are those of an untrained network"
    model = PredictionModel(
        EmbeddingLearner(backbone, ProtoNetHead()),
        Plain(),
        _normalization(network, channels),
        (channels, network.image_size, network.image_size),
        network.name,
        () if network.has_weights else (notes,),
    )
    try:
        model.learner.told(model.image_shape)
        model.items(torch.zeros(1, *model.image_shape, dtype=torch.uint8))
    except UserError:
        raise
    except Exception as error:  # a stranger's network may raise anything
        raise UserError(f"{model.name} cannot take pictures {list(model.image_shape)}: {first_line(error)}") from error
    return model


def _normalization(network: ForeignNetwork, channels: int) -> Normalization:
    """Mean and deviation as given, or else ImageNet's; 0.5 for grey."""
    usual = (IMAGENET_MEAN, IMAGENET_DEVIATION) if channels == 3 else ((0.5,) * channels,) * 2
    mean, deviation = tuple(network.mean) or usual[0], tuple(network.deviation) or usual[1]
    for what, numbers in (("mean", mean), ("deviation", deviation)):
        if len(numbers) != channels:
            raise UserError(f"{what} needs a number for each of the {channels} channels, got {list(numbers)}")
    if not all(number > 0 for number in deviation):
        raise UserError(f"deviation must be positive, got {list(deviation)}")
    return Normalization(torch.tensor(mean, dtype=torch.float32), torch.tensor(deviation, dtype=torch.float32))
