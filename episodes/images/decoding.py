"""Image files as batches of bytes, read by processes that run ahead: decode, crop, resize, mirror."""

import atexit
import itertools
import os
import signal
from collections.abc import Generator, Iterable, Iterator
from types import FrameType
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakSet

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from episodes.errors import UserError
from episodes.images.random_crops import UNITS, random_crop
from episodes.images.reading import BrokenImageError, eight_bits, opened, turned_upright
from episodes.randomness import derive_seed, random_units

if TYPE_CHECKING:  # images make their batches
    from PIL.Image import Image

    from episodes.images.files import ImageFiles

NOT_AUGMENTED = -1
_AHEAD = 3  # batches that each worker may have ready
_CROPS = 1  # which use of the seed
_GRACE = 10  # seconds that a worker goes on after it was told to end, for its parent to come to an end in good order

_open: WeakSet[Generator[Tensor]] = WeakSet()  # whose workers are to be ended before the interpreter ends


class Item(NamedTuple):
    """One image to be read."""

    number: int  # among the files
    position: int  # in the sequence of training images: decides the crop; NOT_AUGMENTED for the centre


class Decoder(Dataset[Tensor | str]):
    """Reads one image: a random part of it, or its centre. It is what the workers hold.

    Args:
        images: the files.
        seed: of the random parts; that of item k of the sequence of training images depends on (seed, k) alone.
    """

    def __init__(self, images: "ImageFiles", seed: int) -> None:
        # One array, not a million strings: to look at a string changes its count of references, and with it memory that
        # a worker shares with its parent.
        self.paths = np.array([os.fsencode(path) for path in images.paths])
        self.reading = images.reading
        self.seed = derive_seed(seed, _CROPS)

    def __getitem__(
        self,
        item: Item,
    ) -> Tensor | str:  # [3, S, S] uint8; or why it cannot be read
        """The image, or why it cannot be read: an exception would lose its one line on the way between processes."""
        path = os.fsdecode(self.paths[item.number])
        try:
            with opened(path) as image:
                upright = eight_bits(turned_upright(image), "RGB")
        except BrokenImageError as error:
            return f"{error}; mend the file or remove it"
        return self.centre(upright) if item.position == NOT_AUGMENTED else self.part(upright, item.position)

    def part(
        self,
        image: "Image",
        position: int,
    ) -> Tensor:  # [3, S, S] uint8
        """The random part that training item ``position`` shows."""
        from torchvision.transforms.v2 import functional

        side = self.reading.image_size
        units = random_units(self.seed, np.asarray([position]), UNITS)[:, 0]
        crop = random_crop(units, image.height, image.width, self.reading.smallest_crop, self.reading.flip)
        # Cut out by Pillow: what is not shown needs not become an array.
        cut = image.crop((crop.left, crop.top, crop.left + crop.width, crop.top + crop.height))
        shown = functional.resize(_pixels(cut), [side, side], antialias=True)
        return functional.horizontal_flip(shown) if crop.mirrored else shown

    def centre(
        self,
        image: "Image",
    ) -> Tensor:  # [3, S, S] uint8
        """The middle of the image: the shorter side resized to 256 where the result has 224, and the centre cut out."""
        from torchvision.transforms.v2 import functional

        side = self.reading.image_size
        resized = functional.resize(_pixels(image), [side * 256 // 224], antialias=True)
        return functional.center_crop(resized, [side, side])


def read_batches(
    decoder: Decoder, batches: Iterable[list[Item]], workers: int, *, pinned: bool = False
) -> Generator[Tensor]:  # [B, 3, S, S] uint8
    """The images of each batch, in the order of the batches, read ahead by processes that end with the iterator.

    Args:
        decoder: reads one image.
        batches: may be endless.
        workers: how many processes; 0 to read in this one.
        pinned: whether the batches are to be in pinned memory, from where they are copied to a GPU.

    Raises:
        UserError: if an image cannot be read, which names the file; or if a process was ended from outside.
    """
    reading = _read(decoder, batches, workers, pinned)
    _open.add(reading)
    return reading


def _read(decoder: Decoder, batches: Iterable[list[Item]], workers: int, pinned: bool) -> Generator[Tensor]:
    loader = DataLoader(
        decoder,
        batch_sampler=batches,
        num_workers=workers,
        collate_fn=_stacked,
        pin_memory=pinned,
        worker_init_fn=_left_to_the_parent,
        generator=torch.Generator(),  # without one of its own it would draw from the default one
        prefetch_factor=_AHEAD if workers else None,
    )
    arriving = iter(loader)
    try:
        for batch in arriving:
            if isinstance(batch, str):
                raise UserError(batch)
            yield batch
    except (RuntimeError, OSError, EOFError) as error:
        # Its end shows in many ways: the loader notices, or a pipe breaks. What goes wrong in a living worker is a bug.
        if not workers or (isinstance(error, RuntimeError) and "DataLoader worker (pid" not in str(error)):
            raise
        raise UserError(
            "a process that reads images was ended from outside, perhaps for want of memory (or of shared memory, "
            "/dev/shm); use fewer workers"
        ) from error
    finally:
        del arriving  # ends the workers now, even if the frame of an exception lives on


def training_items(
    batches: Iterable[tuple[Tensor, range]],  # numbers [B] of images, and their positions in the sequence
) -> Iterator[list[Item]]:
    """Batches of the sequence of training images."""
    for numbers, positions in batches:
        yield list(map(Item, numbers.tolist(), positions))


def ordered_items(
    batches: Iterable[Tensor],  # numbers [B] of images
) -> Iterator[list[Item]]:
    """Batches of images as they are."""
    for numbers in batches:
        yield list(map(Item, numbers.tolist(), itertools.repeat(NOT_AUGMENTED)))


def usable_workers(wanted: int) -> int:
    """As many processes as are wanted, but no more than there are processors to run them."""
    try:
        there = len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        there = os.cpu_count() or 1
    return min(wanted, there)


def require_torchvision() -> None:
    """Import torchvision, once and for all workers, which are copies of this process.

    Raises:
        UserError: if it is not installed.
    """
    try:
        import torchvision.transforms.v2  # noqa: F401
    except ImportError as error:
        raise UserError(f"reading images from files needs torchvision ({error}): pip install torchvision") from None


def _pixels(image: "Image") -> Tensor:  # [3, H, W] uint8, a view of [H, W, 3]
    """The pixels in the order that they have: resizing takes them so, and is not slower for it."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def _stacked(images: list[Tensor | str]) -> Tensor | str:
    """A batch, or the first reason why there is none."""
    tensors: list[Tensor] = []
    for image in images:
        if isinstance(image, str):
            return image
        tensors.append(image)
    return torch.stack(tensors).contiguous()


def _left_to_the_parent(worker: int) -> None:
    """A signal that is sent to the whole group is answered by the parent, who then ends its workers.

    A parent that ends without doing so sends SIGTERM, and waits.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "alarm"):  # not on every system
        signal.signal(signal.SIGTERM, _end_in_a_while)


def _end_in_a_while(number: int, frame: FrameType | None) -> None:
    signal.alarm(_GRACE)


@atexit.register
def _close_all() -> None:
    """End all workers; registered after torch, which from its own exit on leaves them to be terminated."""
    for reading in list(_open):
        reading.close()
