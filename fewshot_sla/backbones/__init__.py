"""Networks that turn images [B, C, H, W] into features [B, D]."""

from fewshot_sla.backbones.base import Backbone
from fewshot_sla.backbones.conv4 import Conv4
from fewshot_sla.backbones.convnet import ConvNet
from fewshot_sla.backbones.dropblock import DropBlock, dropblock
from fewshot_sla.backbones.resnet12 import ResNet12
from fewshot_sla.backbones.resnet18 import ResNet18
from fewshot_sla.backbones.resnet_cifar import ResNetCifar
from fewshot_sla.backbones.scheduled import Scheduled, set_training_progress

__all__ = [
    "Backbone",
    "Conv4",
    "ConvNet",
    "DropBlock",
    "ResNet12",
    "ResNet18",
    "ResNetCifar",
    "Scheduled",
    "dropblock",
    "set_training_progress",
]
