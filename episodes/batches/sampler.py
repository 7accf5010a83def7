"""Which images make up batch number i of ordinary training: a pure function of (count, batch size, seed, i)."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from episodes.errors import UserError
from episodes.randomness import random_units

_KEPT = 2  # permutations kept: a batch seldom reaches over more than one end of an epoch


class BatchSampler:
    """Cuts an endless sequence of permutations of 0..count-1 into batches; batch i is the same whatever came before.

    Epoch e is one random permutation. Batches run on across the end of an epoch, so that every batch is full, and after
    any number of whole epochs every image was drawn equally often. A batch may be larger than an epoch.

    >>> sampler = BatchSampler(10, 4, seed=0)
    >>> sorted(torch.cat([sampler[i] for i in range(5)]).tolist()) == sorted(2 * list(range(10)))
    True

    Args:
        count: number of images.
        batch_size: images of a batch (B).
        seed: any integer; with count and batch size it fixes every batch.

    Raises:
        UserError: if there are no images, or the batch size is not positive.
    """

    def __init__(self, count: int, batch_size: int, seed: int) -> None:
        if count < 1:
            raise UserError("there are no images to draw batches from")
        if batch_size < 1:
            raise UserError(f"batch_size must be at least 1, got {batch_size}")
        self.count, self.batch_size, self.seed = count, batch_size, seed
        self._kept: dict[int, NDArray[np.int64]] = {}

    def positions(self, number: int) -> range:
        """Where the items of batch ``number`` stand in the endless sequence of permutations."""
        return range(number * self.batch_size, (number + 1) * self.batch_size)

    def __getitem__(
        self,
        number: int,  # 0 or more
    ) -> Tensor:  # [B] int64, 0..count-1
        """The images of batch ``number``.

        Raises:
            IndexError: if the number is negative.
        """
        if number < 0:
            raise IndexError(f"batches are numbered from 0, got {number}")
        positions = self.positions(number)
        parts, start = [], positions.start
        while start < positions.stop:
            epoch, first = divmod(start, self.count)
            part = self._permutation(epoch)[first : first + positions.stop - start]
            parts.append(part)
            start += len(part)
        return torch.from_numpy(np.concatenate(parts))

    def _permutation(self, epoch: int) -> NDArray[np.int64]:  # [count]
        """The order of the images in an epoch: the order of as many random numbers."""
        if epoch not in self._kept:
            if len(self._kept) == _KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[epoch] = random_units(self.seed, np.asarray([epoch]), self.count)[:, 0].argsort(kind="stable")
        return self._kept[epoch]
