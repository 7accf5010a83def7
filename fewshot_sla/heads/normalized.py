"""Centred and L2-normalised features for any head: SimpleShot's CL2N."""

import torch
from torch import Tensor, nn

from episodes.errors import UserError
from episodes.targets import Targets
from fewshot_sla.backbones.shape import FeatureShape
from fewshot_sla.heads.base import Head
from fewshot_sla.heads.calibration import SPREAD


def centred_directions(
    features: Tensor,  # [..., D] float
    centre: Tensor | None = None,  # [D]
) -> Tensor:  # [..., D] of norm 1, or 0 where a feature is the centre
    """``(x - centre) / ||x - centre||``; without a centre ``x / ||x||``.

    Wang et al. 2019 (arXiv 1911.04623), section 3: CL2N, and L2N without a centre.
    """
    return nn.functional.normalize(features if centre is None else features - centre, dim=-1)


class NormalizedHead(Head):
    """Any head on features that are centred by the mean of the base classes and divided by their L2 norm.

    The centre is the mean feature of the training images. In a training it is computed anew at each validation, with
    the weights of that moment, and saved with them; so tests and predictions use the one that belongs to the best
    weights. As in SimpleShot it is subtracted in evaluation only: in training mode, and before there is a centre,
    features are only normalised.

    With a ProtoNetHead this is SimpleShot's nearest neighbour rule.

    Args:
        head: what is given the features.
        centre: whether features are centred; if not, they are only normalised (L2N).
    """

    base_mean: Tensor | None  # [D] float32 or better, 0 while there is none; None until D is told

    def __init__(self, head: Head, centre: bool = True) -> None:
        super().__init__()
        self.head = head
        self.centre = centre
        self.register_buffer("base_mean", None)

    @property
    def transductive(self) -> bool:  # type: ignore[override]
        """Whether the head inside is."""
        return self.head.transductive

    @property
    def exempt(self) -> frozenset[str]:  # type: ignore[override]
        """From what the head inside is."""
        return self.head.exempt

    @property
    def tried_on(self) -> FeatureShape | None:  # type: ignore[override]
        """What the head inside is tried on."""
        return self.head.tried_on

    @property
    def takes_mean_features(self) -> bool:  # type: ignore[override]
        """Whether the head inside does."""
        return self.head.takes_mean_features

    def build(self, shape: FeatureShape) -> None:
        """Make the centre, and tell the head inside."""
        self.head.told(shape)
        self.base_mean = torch.zeros(shape.numbers)

    @property
    def needs_base_mean(self) -> bool:
        """Whether it centres."""
        return self.centre

    def keep_base_mean(self, mean: Tensor) -> None:
        """Subtract this from now on.

        Raises:
            UserError: it is no vector, not finite, or not of the size that was told.
        """
        if mean.ndim != 1 or not bool(mean.isfinite().all()):
            raise UserError(f"NormalizedHead: the centre must be a finite vector [D], got {list(mean.shape)}")
        if self.base_mean is not None and len(mean) != len(self.base_mean):
            raise UserError(f"NormalizedHead: features have {len(self.base_mean)} numbers, the centre has {len(mean)}")
        self.base_mean = mean.detach().clone()

    def transform(
        self,
        features: Tensor,  # [..., D]
    ) -> Tensor:  # [..., D]
        """What the head inside is given.

        Raises:
            UserError: the centre is of features of another size.
        """
        if self.training or not self.centre or self.base_mean is None:
            return centred_directions(features)
        if features.shape[-1] != len(self.base_mean):
            raise UserError(
                f"NormalizedHead: features have {features.shape[-1]} numbers, the centre has {len(self.base_mean)}"
            )
        return centred_directions(features, self.base_mean.to(features.dtype))

    def logits(self, support: Tensor, support_labels: Tensor, query: Tensor, ways: int) -> Tensor:
        """The head's logits on the transformed features."""
        return self.head.logits(self.transform(support), support_labels, self.transform(query), ways)

    def logits_with_loss(
        self, support: Tensor, support_labels: Tensor, query: Tensor, query_targets: Targets, ways: int
    ) -> tuple[Tensor, Tensor | None]:
        """Those of the head inside, with its loss."""
        support, query = self.transform(support), self.transform(query)
        return self.head.logits_with_loss(support, support_labels, query, query_targets, ways)

    def calibrate(
        self,
        support: Tensor,  # [T, S, D] float
        support_labels: Tensor,  # [T, S] int64, 0..ways-1
        query: Tensor,  # [T, R, D] float
        ways: int,
        spread: float = SPREAD,
    ) -> None:
        """Calibrate the head inside on the transformed features."""
        dtype = torch.promote_types(support.dtype, torch.float32)
        support, query = (self.transform(features.to(dtype)) for features in (support, query))
        self.head.calibrate(support, support_labels, query, ways, spread)
