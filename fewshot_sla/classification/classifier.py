"""Classifier: a backbone embeds every image, and linear layers, one an output, score its features."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from episodes.errors import UserError
from fewshot_sla.backbones.base import Backbone, check_images
from fewshot_sla.classification.objectives import ClassificationObjective

SHORTEST = 1e-12  # a vector without a component as large as this has no direction


def unit_vectors(
    vectors: Tensor,  # [..., D, ...] float
    dim: int,  # the axis of D
) -> Tensor:  # as the vectors
    """Vectors of length 1; those too short to have a direction stay as they are, and so does their gradient.

    Division by the largest component first keeps the squares of huge and of tiny vectors in range. That divisor is a
    constant to the gradient, because the result does not depend on it.
    """
    largest = vectors.detach().abs().amax(dim, keepdim=True)
    long = largest > SHORTEST
    vectors = vectors / largest.where(long, 1)
    squares = vectors.square().sum(dim, keepdim=True)
    return vectors * squares.where(long, 1).rsqrt()


class NormalizedLinear(nn.Module):
    """Cosine of the feature and the weights of each label: ``logits[w] = <z, v_w> / (|z| |v_w|)``, no bias.

    Cao et al., "Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss", NeurIPS 2019, section 3.2.
    The length of the weights has no effect; at the start it is 1, in directions drawn from a cube.

    Args:
        in_features: length D of a feature.
        out_features: number of labels W.
    """

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        weight = nn.init.uniform_(torch.empty(in_features, out_features), -1, 1)
        self.weight = nn.Parameter(unit_vectors(weight, 0))  # [D, W], a column a label

    def forward(
        self,
        features: Tensor,  # [..., D] float32 or float64
    ) -> Tensor:  # [..., W], in [-1, 1] up to rounding; 0 where the feature is 0
        """Cosines."""
        return unit_vectors(features, -1) @ unit_vectors(self.weight, 0)


class Classifier(nn.Module):
    """Backbone, then a linear layer for each output: ``{output: layer(backbone(images))}``.

    Whatever precision the backbone runs in, the layers compute in float32 or float64 with autocast off.

    Args:
        backbone: embeds images [B, C, H, W] as features [B, D].
        outputs: size of each output, by name; an objective says which it needs.
        image_size: height and width of the images in pixels; with the backbone they fix the size of the layers.
        normalized: whether the logits are cosines (see :class:`NormalizedLinear`) instead of ``<z, v_w> + b_w``.

    Raises:
        UserError: if the images are too small for the backbone, there is no output, or one has no labels.
    """

    def __init__(
        self,
        backbone: Backbone,
        outputs: Mapping[str, int],
        image_size: tuple[int, int],
        normalized: bool = False,
    ) -> None:
        super().__init__()
        if not outputs or min(outputs.values()) < 1:
            raise UserError(f"a classifier needs outputs of at least one label, got {dict(outputs)}")
        images = torch.empty(1, backbone.in_channels, *image_size, device="meta")
        check_images(images, backbone.in_channels, backbone.least_size)
        self.backbone = backbone
        layer = NormalizedLinear if normalized else nn.Linear
        features = backbone.out_features(*image_size)
        self.layers = nn.ModuleDict({name: layer(features, size) for name, size in outputs.items()})

    def forward(
        self,
        images: Tensor,  # [..., C, H, W] float, normalised
    ) -> dict[str, Tensor]:  # {output: [..., W] float32 or float64}
        """Logits of every output for every image."""
        features = self.backbone(images.reshape(-1, *images.shape[-3:]))
        features = features.reshape(images.shape[:-3] + features.shape[1:])
        with torch.autocast(images.device.type, enabled=False):
            features = features.to(torch.promote_types(features.dtype, torch.float32))
            return {name: layer(features) for name, layer in self.layers.items()}

    def __call__(self, images: Tensor) -> dict[str, Tensor]:
        """Same as :meth:`forward` (written out so that type checkers know the signature)."""
        return super().__call__(images)


def build_classifier(
    backbone: Backbone,
    objective: ClassificationObjective,
    image_shape: tuple[int, int, int],
    classes: int,
) -> Classifier:
    """A backbone with the layers that an objective needs for so many classes.

    Args:
        backbone: becomes part of the classifier.
        objective: says which outputs it needs, and whether they are to be cosines.
        image_shape: (C, H, W) of the images.
        classes: N.

    Raises:
        UserError: if the backbone cannot take the images.
    """
    channels, height, width = image_shape
    check_images(torch.empty(1, channels, height, width, device="meta"), backbone.in_channels, backbone.least_size)
    normalized = objective.label_loss.needs_normalized_layer
    return Classifier(backbone, objective.outputs(classes), (height, width), normalized)
