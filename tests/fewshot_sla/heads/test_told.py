"""What a head is told of the features: by the backbone's shape, once, before anything is drawn or loaded."""

import pytest
import torch

from episodes.errors import UserError
from fewshot_sla.backbones import Conv4, ConvNet, FeatureShape, ResNet12
from fewshot_sla.heads import NormalizedHead, ProtoNetHead
from fewshot_sla.meta import EmbeddingLearner


@pytest.mark.parametrize("backbone", [Conv4(3, 4), ConvNet(3, 5, blocks=2), ResNet12(widths=(2, 2, 2, 6))])
def test_a_backbone_that_flattens_a_map_says_its_shape(backbone: ConvNet) -> None:
    images = torch.randn(2, 3, 36, 52)
    shape = backbone.feature_shape((3, 36, 52))
    width = backbone.widths[3] if isinstance(backbone, ResNet12) else backbone.channels
    assert (shape.channels, backbone(images).shape[1]) == (width, shape.numbers)
    assert shape.height < shape.width


def test_a_pooled_one_gives_a_vector_and_images_that_do_not_fit_are_named() -> None:
    backbone = ResNet12(widths=(2, 2, 2, 6), pooled=True)
    assert backbone.feature_shape((3, 84, 84)) == FeatureShape(6)
    with pytest.raises(UserError, match="the images have 1 channel but the backbone takes 3"):
        backbone.feature_shape((1, 84, 84))
    with pytest.raises(UserError, match="at least 16x16 pixels, got 8x84"):
        backbone.feature_shape((3, 8, 84))


def test_a_head_is_told_once_and_for_one_shape() -> None:
    head = NormalizedHead(ProtoNetHead())
    learner = EmbeddingLearner(Conv4(1, 4), head)
    learner.told((1, 32, 48))
    centre = head.base_mean
    assert centre is not None
    assert centre.shape == (4 * 2 * 3,)
    learner.told((1, 32, 48))
    assert head.base_mean is centre
    with pytest.raises(UserError, match="made for features of shape 4x2x3, the backbone gives 4x1x1"):
        learner.told((1, 16, 16))
