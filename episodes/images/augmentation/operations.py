"""Operations that augmentation policies are made of, on bytes: each image with its own magnitude, many at once.

Images that go through the same operation go through it together, whatever their magnitudes are: these are a tensor with
one row an image. Shears, shifts and turns even share one resampling. What comes out is, byte for byte, what torchvision
makes of each image alone; what leaves the image is lost, what comes in is black.

======================== ===============================================================================
operation                magnitude
======================== ===============================================================================
ShearX, ShearY           tangent of the angle, about the upper left corner
TranslateX, TranslateY   pixels to the right or downwards
Rotate                   degrees, anticlockwise
Brightness, Color,       what the factor differs from 1 by: -1 is black, grey, flat or blurred
Contrast, Sharpness
Posterize                bits that are dropped, 0..8
Solarize                 values from here on are inverted, 0..256
Cutout                   side of the square in pixels
AutoContrast, Equalize,  none
Invert, Identity
======================== ===============================================================================
"""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import grid_sample
from torchvision.transforms.v2 import functional

from episodes.images.augmentation.steps import Step
from episodes.images.gathering import sent

_PARAMETERS = 6  # numbers that an operation may take of each image
_CUTOUT = (125, 123, 114)  # the colour of the square in Fast AutoAugment's program; grey images: its mean by luminance
_CUTOUT_GREY = (123,)


def operate(
    images: Tensor,  # [B, C, H, W] uint8; C is 1 or 3
    steps: Sequence[Step | None],  # B of them: what each image goes through; None leaves it as it is
) -> Tensor:  # [B, C, H, W] uint8
    """Each image through its own operation: as many calls as there are different ones, not as there are images."""
    height, width = images.shape[-2:]
    together: dict[_Together, list[tuple[int, list[float]]]] = defaultdict(list)
    for row, step in enumerate(steps):
        if step is not None and step.name != "Identity":
            operation = OPERATIONS[step.name]
            numbers = [*operation.parameters(step, height, width)]
            together[operation.together].append((row, numbers + [0.0] * (_PARAMETERS - len(numbers))))
    if not together:
        return images
    drawn = [one for group in together.values() for one in group]
    rows = sent(torch.tensor([row for row, _ in drawn]), images.device)
    parameters = sent(torch.tensor([numbers for _, numbers in drawn], dtype=torch.float32), images.device)
    sizes = [len(group) for group in together.values()]
    parts = zip(together, images[rows].split(sizes), parameters.split(sizes), strict=True)
    changed = torch.cat([apply(part, own) for apply, part, own in parts])
    return images.index_copy(0, rows, changed)


_Together = Callable[[Tensor, Tensor], Tensor]  # images [n, C, H, W] uint8, parameters [n, 6] -> [n, C, H, W] uint8


class Operation(NamedTuple):
    """What a name stands for.

    Attributes:
        together: images [n, C, H, W] uint8 and parameters [n, 6] float32 -> [n, C, H, W] uint8, each image by itself.
        parameters: (step, height, width) -> up to 6 numbers that ``together`` takes of an image.
    """

    together: _Together
    parameters: Callable[[Step, int, int], Sequence[float]]


def _moved(
    images: Tensor,
    matrices: Tensor,  # [n, 6]: where pixel (x, y) comes from, (a x + b y + c, d x + e y + f), from the image's centre
) -> Tensor:
    height, width = images.shape[-2:]
    places = matrices.new_ones(1, height * width, 3)
    across, down = (torch.linspace((1 - n) / 2, (n - 1) / 2, n, device=images.device) for n in (width, height))
    places[0, :, 0], places[0, :, 1] = across.repeat(height), down.repeat_interleave(width)
    half = sent(torch.tensor([0.5 * width, 0.5 * height]), images.device)
    grid = places.expand(len(images), -1, -1).bmm(matrices.view(-1, 2, 3).transpose(1, 2) / half)
    found = grid_sample(images.float(), grid.view(-1, height, width, 2), mode="nearest", align_corners=False)
    return found.round_().to(torch.uint8)


def _shear_x(step: Step, height: int, width: int) -> Sequence[float]:
    return 1, step.magnitude, step.magnitude * height / 2, 0, 1, 0


def _shear_y(step: Step, height: int, width: int) -> Sequence[float]:
    return 1, 0, 0, step.magnitude, 1, step.magnitude * width / 2


def _shift_x(step: Step, height: int, width: int) -> Sequence[float]:
    return 1, 0, -step.magnitude, 0, 1, 0


def _shift_y(step: Step, height: int, width: int) -> Sequence[float]:
    return 1, 0, 0, 0, 1, -step.magnitude


def _turn(step: Step, height: int, width: int) -> Sequence[float]:
    angle = math.radians(step.magnitude % 360)
    return math.cos(angle), -math.sin(angle), 0, math.sin(angle), math.cos(angle), 0


def _blended(
    images: Tensor,  # [n, C, H, W] uint8
    others: Tensor,  # broadcastable, float
    factors: Tensor,  # [n, 6]: the share of the images, and that of the others
) -> Tensor:
    own, other = (factors[:, k, None, None, None] for k in (0, 1))
    # Rounded once, as torchvision's add is: a product rounded by itself would now and then be another byte.
    return _as_bytes(torch.addcmul(images * own, others, other))


def _brightened(images: Tensor, factors: Tensor) -> Tensor:
    return _as_bytes(images * factors[:, 0, None, None, None])


def _saturated(images: Tensor, factors: Tensor) -> Tensor:
    return images if images.shape[1] == 1 else _blended(images, _grey(images), factors)


def _contrasted(images: Tensor, factors: Tensor) -> Tensor:
    return _blended(images, _grey(images).mean(dim=(1, 2, 3), keepdim=True), factors)


def _sharpened(images: Tensor, factors: Tensor) -> Tensor:
    pixels, blurred = images.float(), functional.adjust_sharpness(images, 0.0).float()
    return _as_bytes(torch.addcmul(pixels, blurred - pixels, factors[:, 1, None, None, None]))


def _grey(images: Tensor) -> Tensor:  # [n, 1, H, W] float, whole numbers
    return (images if images.shape[1] == 1 else functional.rgb_to_grayscale(images)).float()


def _as_bytes(pixels: Tensor) -> Tensor:
    return pixels.clamp_(0, 255).to(torch.uint8)


def _factor(step: Step, height: int, width: int) -> Sequence[float]:
    factor = 1 + step.magnitude
    return factor, 1 - factor


def _posterized(images: Tensor, masks: Tensor) -> Tensor:
    return images & masks[:, 0, None, None, None].to(torch.uint8)


def _mask(step: Step, height: int, width: int) -> Sequence[float]:
    return (256 - 2 ** int(step.magnitude),)


def _solarized(images: Tensor, thresholds: Tensor) -> Tensor:
    return torch.where(images >= thresholds[:, 0, None, None, None], 255 - images, images)


def _blotted(
    images: Tensor,
    boxes: Tensor,  # [n, 6]: first and last row, first and last column
) -> Tensor:
    height, width = images.shape[-2:]
    down = torch.arange(height, device=images.device)
    across = torch.arange(width, device=images.device)
    top, bottom, left, right = (boxes[:, k, None] for k in range(4))
    rows, columns = (down >= top) & (down <= bottom), (across >= left) & (across <= right)
    inside = rows[:, None, :, None] & columns[:, None, None, :]
    color = torch.tensor(_CUTOUT_GREY if images.shape[1] == 1 else _CUTOUT, dtype=torch.uint8)
    return torch.where(inside, sent(color, images.device).view(1, -1, 1, 1), images)


def _box(step: Step, height: int, width: int) -> Sequence[float]:
    """As the authors draw it: moved inwards at the upper and left edges, clipped at the others, its last line too."""
    side = step.magnitude
    if side <= 0:
        return 0, -1, 0, -1
    top, left = (int(max(0.0, share * n - side / 2)) for share, n in zip(step.place, (height, width), strict=True))
    return top, int(min(height, top + side)), left, int(min(width, left + side))


def _magnitude(step: Step, height: int, width: int) -> Sequence[float]:
    return (step.magnitude,)


def _nothing(step: Step, height: int, width: int) -> Sequence[float]:
    return ()


def _autocontrasted(images: Tensor, parameters: Tensor) -> Tensor:
    return functional.autocontrast(images)


def _equalized(images: Tensor, parameters: Tensor) -> Tensor:
    return functional.equalize(images)


def _inverted(images: Tensor, parameters: Tensor) -> Tensor:
    return functional.invert(images)


OPERATIONS: dict[str, Operation] = {
    "ShearX": Operation(_moved, _shear_x),
    "ShearY": Operation(_moved, _shear_y),
    "TranslateX": Operation(_moved, _shift_x),
    "TranslateY": Operation(_moved, _shift_y),
    "Rotate": Operation(_moved, _turn),
    "Brightness": Operation(_brightened, _factor),
    "Color": Operation(_saturated, _factor),
    "Contrast": Operation(_contrasted, _factor),
    "Sharpness": Operation(_sharpened, _factor),
    "Posterize": Operation(_posterized, _mask),
    "Solarize": Operation(_solarized, _magnitude),
    "Cutout": Operation(_blotted, _box),
    "AutoContrast": Operation(_autocontrasted, _nothing),
    "Equalize": Operation(_equalized, _nothing),
    "Invert": Operation(_inverted, _nothing),
}
