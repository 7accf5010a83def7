"""AutoAugment with the policy that was found for CIFAR-10: two operations an image, each with some probability."""

from collections import defaultdict

import torch
from torch import Tensor

from episodes.errors import UserError
from episodes.images.augmentation.base import ImageAugmentation
from episodes.images.normalization import as_floats

Step = tuple[str, float, int | None]  # an operation, its probability, its level 0..9

# Cubuk et al., "AutoAugment: Learning Augmentation Strategies from Data", CVPR 2019, table 7.
CIFAR10: tuple[tuple[Step, Step], ...] = (
    (("Invert", 0.1, None), ("Contrast", 0.2, 6)),
    (("Rotate", 0.7, 2), ("TranslateX", 0.3, 9)),
    (("Sharpness", 0.8, 1), ("Sharpness", 0.9, 3)),
    (("ShearY", 0.5, 8), ("TranslateY", 0.7, 9)),
    (("AutoContrast", 0.5, None), ("Equalize", 0.9, None)),
    (("ShearY", 0.2, 7), ("Posterize", 0.3, 7)),
    (("Color", 0.4, 3), ("Brightness", 0.6, 7)),
    (("Sharpness", 0.3, 9), ("Brightness", 0.7, 9)),
    (("Equalize", 0.6, None), ("Equalize", 0.5, None)),
    (("Contrast", 0.6, 7), ("Sharpness", 0.6, 5)),
    (("Color", 0.7, 7), ("TranslateX", 0.5, 8)),
    (("Equalize", 0.3, None), ("AutoContrast", 0.4, None)),
    (("TranslateY", 0.4, 3), ("Sharpness", 0.2, 6)),
    (("Brightness", 0.9, 6), ("Color", 0.2, 8)),
    (("Solarize", 0.5, 2), ("Invert", 0.0, None)),
    (("Equalize", 0.2, None), ("AutoContrast", 0.6, None)),
    (("Equalize", 0.2, None), ("Equalize", 0.6, None)),
    (("Color", 0.9, 9), ("Equalize", 0.6, None)),
    (("AutoContrast", 0.8, None), ("Solarize", 0.2, 8)),
    (("Brightness", 0.1, 3), ("Color", 0.7, 0)),
    (("Solarize", 0.4, 5), ("AutoContrast", 0.9, None)),
    (("TranslateY", 0.9, 9), ("TranslateY", 0.7, 9)),
    (("AutoContrast", 0.9, None), ("Solarize", 0.8, 3)),
    (("Equalize", 0.8, None), ("Invert", 0.1, None)),
    (("TranslateY", 0.7, 9), ("AutoContrast", 0.9, None)),
)


def augmented(
    images: Tensor,  # [B, C, H, W] uint8; C is 1 or 3
    policy: Tensor,  # [B] int64 on the CPU, 0..24: which pair of operations
    chance: Tensor,  # [B, 2] float on the CPU, 0..1: an operation is applied where this is below its probability
    negative: Tensor,  # [B, 2] bool on the CPU: the sign of its magnitude, if it has one
) -> Tensor:  # [B, C, H, W] uint8
    """Each image through its own pair of operations; images that go through the same one go through it together."""
    from episodes.images.augmentation.operations import OPERATIONS, operate  # torchvision takes seconds to import

    images = images.clone()
    for place in (0, 1):
        together: dict[tuple[str, int | None, bool], list[int]] = defaultdict(list)
        drawn = zip(policy.tolist(), chance[:, place].tolist(), negative[:, place].tolist(), strict=True)
        for row, (number, below, turned) in enumerate(drawn):
            name, probability, level = CIFAR10[number][place]
            if below < probability:
                together[name, level, turned and OPERATIONS[name].signed].append(row)
        for (name, level, turned), rows in together.items():
            chosen = torch.tensor(rows, device=images.device)
            images[chosen] = operate(images[chosen], name, level, turned)
    return images


class AutoAugment(ImageAugmentation):
    """AutoAugment (Cubuk et al., CVPR 2019) with the CIFAR-10 policy, drawn for each image by itself.

    One of 25 pairs of operations is drawn for each image, then whether each of the two is applied, and the sign of its
    magnitude. Images are rounded to bytes first, as the operations are defined on them; put it before crops and flips
    (:class:`~episodes.images.augmentation.Compose`), as the authors do, and nothing is lost. Operations and magnitudes
    are torchvision's; its own AutoAugment draws one pair for all images of a batch, and kornia's moreover shears by
    other angles and draws magnitudes from intervals.

    Random numbers are drawn on the CPU, so images on a GPU get the same ones and nothing waits for the device.
    """

    def change(
        self,
        images: Tensor,  # [B, C, H, W] float, 0..1; B may be 0
    ) -> Tensor:  # [B, C, H, W] float, 0..1
        """Each image through its own pair of operations.

        Raises:
            UserError: if images have neither 1 nor 3 channels.
        """
        count, channels = images.shape[:2]
        if channels not in (1, 3):
            raise UserError(f"AutoAugment is for images with 1 or 3 channels, these have {channels}")
        policy = torch.randint(len(CIFAR10), (count,))
        chance, negative = torch.rand(count, 2), torch.rand(count, 2) < 0.5
        pixels = images.mul(255).round_().to(torch.uint8)
        return as_floats(augmented(pixels, policy, chance, negative)).to(images.dtype)
