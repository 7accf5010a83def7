"""What most of few-shot learning trains with: random crop, colour jitter, horizontal flip."""

from collections.abc import Callable

from torch import Tensor

from episodes.errors import UserError
from episodes.images.augmentation.base import ImageAugmentation


class CropFlipJitter(ImageAugmentation):
    """What MetaOptNet (Lee et al., CVPR 2019) and most of few-shot learning train with, by kornia.

    Random crop after padding with black, then jitter of brightness, contrast and saturation (factors uniform in
    [1 - jitter, 1 + jitter]) and of hue (a turn uniform in [-hue, hue]), in random order, then horizontal flip. What is
    0 is left out. iNaturalist's images are jittered by 0.4 and a hue of 0.25 in the authors' program of SLA.

    Args:
        padding: pixels added on each side before an image of the old size is cut out: 8 for 84x84, 4 for 32x32.
        flip: probability of a horizontal flip.
        jitter: strength of the colour jitter. Grey images have no saturation: only brightness and contrast.
        hue: by how much of a full turn the hue is changed, at most a half. Grey images have none.

    Raises:
        UserError: if a strength is negative or above 1, the hue above 0.5, or kornia is not installed.
    """

    def __init__(self, padding: int = 4, flip: float = 0.5, jitter: float = 0.4, hue: float = 0.0) -> None:
        if padding < 0 or not 0 <= flip <= 1 or not 0 <= jitter <= 1:
            raise UserError(f"padding must be at least 0, flip and jitter 0 to 1, got {padding}, {flip} and {jitter}")
        if not 0 <= hue <= 0.5:
            raise UserError(f"hue must be 0 to 0.5, half of a full turn, got {hue}")
        self.padding, self.flip, self.jitter, self.hue = padding, flip, jitter, hue

    def change(
        self,
        images: Tensor,  # [B, C, H, W] float, 0..1; B may be 0
    ) -> Tensor:  # [B, C, H, W] float, 0..1
        """Each image cropped, jittered and flipped in its own random way."""
        if not len(images):
            return images
        channels, height, width = images.shape[1:]
        for step in self._steps(channels, height, width):
            images = step(images)
        return images

    def _steps(self, channels: int, height: int, width: int) -> list[Callable[[Tensor], Tensor]]:
        try:
            from kornia import augmentation  # takes more than a second to import
        except ImportError as error:
            raise UserError("CropFlipJitter needs kornia: pip install kornia") from error
        steps: list[Callable[[Tensor], Tensor]] = []
        if self.padding:
            # "slice" moves pixels; kornia's default would resample them.
            steps.append(augmentation.RandomCrop((height, width), padding=self.padding, cropping_mode="slice"))
        saturation, hue = (self.jitter, self.hue) if channels == 3 else (0.0, 0.0)
        if self.jitter or hue:
            steps.append(augmentation.ColorJitter(self.jitter, self.jitter, saturation, hue, p=1.0))
        if self.flip:
            steps.append(augmentation.RandomHorizontalFlip(p=self.flip))
        return steps
