"""Networks that turn images [B, C, H, W] into features [B, D]."""

from fewshot_sla.backbones.base import Backbone
from fewshot_sla.backbones.conv4 import Conv4
from fewshot_sla.backbones.convnet import ConvNet
from fewshot_sla.backbones.dropblock import DropBlock, dropblock
from fewshot_sla.backbones.pyramidnet import PyramidNet
from fewshot_sla.backbones.r2d2_net import R2D2Net
from fewshot_sla.backbones.resnet12 import ResNet12
from fewshot_sla.backbones.resnet_cifar import ResNetCifar
from fewshot_sla.backbones.resnet_imagenet import ResNetImageNet
from fewshot_sla.backbones.scheduled import Scheduled, set_training_progress
from fewshot_sla.backbones.shape import FeatureShape
from fewshot_sla.backbones.wide_resnet import WideResNet

__all__ = [
    "Backbone",
    "Conv4",
    "ConvNet",
    "DropBlock",
    "FeatureShape",
    "PyramidNet",
    "R2D2Net",
    "ResNet12",
    "ResNetCifar",
    "ResNetImageNet",
    "Scheduled",
    "WideResNet",
    "dropblock",
    "set_training_progress",
]
