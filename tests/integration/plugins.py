"""What a user might plug in from outside the package."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from episodes import Transformations
from episodes.episode import EpisodeBatch
from episodes.labelling import joint_labelling
from episodes.targets import Targets
from fewshot_sla import classification, meta
from fewshot_sla.backbones import Backbone
from fewshot_sla.classification.objectives import Standing
from fewshot_sla.heads import Head
from fewshot_sla.heads.base import one_hot
from fewshot_sla.inference import Inference, conditional_logits
from fewshot_sla.meta.learners import MetaLearner


class LinearBackbone(Backbone):
    """Sees each image by itself even in training mode: there is no BatchNorm."""

    def __init__(self, in_channels: int = 1, size: int = 16, features: int = 12) -> None:
        super().__init__(in_channels)
        self.linear = nn.Linear(in_channels * size * size, features)
        self.size = features

    def features(self, images: Tensor) -> Tensor:
        return self.linear(images.flatten(1))

    def out_features(self, height: int, width: int) -> int:
        return self.size


class NearestPixels(MetaLearner):
    """A meta-learner with neither embed nor head: scores by distance to the class means of the raw pixels."""

    def __init__(self, temperature: float = 1.0) -> None:
        super().__init__()
        self.temperature = nn.Parameter(torch.tensor(temperature))

    def forward(self, episodes: EpisodeBatch) -> Tensor:
        support, query = episodes.support.flatten(2), episodes.query.flatten(2)
        belongs = nn.functional.one_hot(episodes.support_labels, episodes.ways).to(support.dtype)  # [T, S, W]
        means = belongs.mT @ support / belongs.sum(dim=1).unsqueeze(-1)
        return -self.temperature * torch.cdist(query, means) / support.shape[-1] ** 0.5


class TooFewLogits(Head):
    """Forgets a class."""

    def logits(self, support: Tensor, support_labels: Tensor, query: Tensor, ways: int) -> Tensor:
        return query[..., : ways - 1]


class NotANumber(Head):
    """Divides by zero."""

    def logits(self, support: Tensor, support_labels: Tensor, query: Tensor, ways: int) -> Tensor:
        return query[..., :ways] * float("nan")


class NotANumberBackbone(LinearBackbone):
    """Divides by zero."""

    def features(self, images: Tensor) -> Tensor:
        return super().features(images) * float("nan")


class Posterisation(Transformations):
    """Fewer and fewer shades; it computes with the values of pixels."""

    names = ("identity", "8 shades", "2 shades")
    photometric = True

    def forward(self, images: Tensor) -> Tensor:
        assert images.is_floating_point()
        assert 0 <= images.min() <= images.max() <= 1
        return torch.stack([images, *((images * (n - 1)).round() / (n - 1) for n in (8, 2))], dim=-4)


# An inference of one's own: of the logits given the transformation, the largest over all views.
LARGEST = Inference(joint_labelling, conditional_logits, lambda by_view: by_view.amax(dim=-2))


class EpisodesByTheLargest(meta.SLA):
    """SLA of episodes with that inference."""

    inferences = {**meta.SLA.inferences, "largest": LARGEST}  # noqa: RUF012


class ClassesByTheLargest(classification.SLA):
    """SLA of a classifier with that inference."""

    inferences = {**classification.SLA.inferences, "largest": LARGEST}  # noqa: RUF012


class OnlyTheFirstLabel(classification.Baseline):
    """Does not know of mixtures."""

    def loss(self, logits: Mapping[str, Tensor], targets: Targets, standing: Standing) -> Tensor:
        return nn.functional.cross_entropy(logits["class"][:, 0], targets.labels)


class OnlyTheFirstLabelOfQueries(meta.Plain):
    """Does not know of mixtures."""

    def loss(self, logits: Tensor, targets: Targets) -> Tensor:
        return nn.functional.cross_entropy(logits.flatten(0, 1), targets.labels.flatten())


class LearnedMetric(Head):
    """Nearest class mean under a metric that training must give."""

    def __init__(self) -> None:
        super().__init__()
        self.metric = nn.Parameter(torch.ones(4))

    def logits(self, support: Tensor, support_labels: Tensor, query: Tensor, ways: int) -> Tensor:
        means = one_hot(support_labels, ways, support.dtype).mT @ support
        return -torch.cdist(query * self.metric, means * self.metric)
