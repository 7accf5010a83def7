"""The peers as they start today: learn2learn without gym's notice, easyfsl under a torch whose Sampler is an object."""

import functools
import importlib
import inspect

from torch import Tensor
from torch.utils.data import Dataset, Sampler

from episodes.optional import learn2learn

EASYFSL_SHIM = (
    "easyfsl 1.5's TaskSampler calls super().__init__(data_source=None); the Sampler of this torch takes no such "
    "argument, so the benchmark gives Sampler a constructor that ignores it. Nothing that is timed goes through it."
)


class TensorImages(Dataset):
    """Images in memory as a peer wants them: ``self[i]`` is (a view of image i, its label as an int).

    Args:
        images: [n, C, H, W], any dtype.
        labels: [n] int64.
    """

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        self.images = images.unbind(0)  # views made once: indexing a list is the cheapest lookup there is
        self.labels = labels.tolist()

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, number: int) -> tuple[Tensor, int]:
        return self.images[number], self.labels[number]

    def get_labels(self) -> list[int]:
        """What easyfsl asks a data set for."""
        return self.labels


def learn2learn_dataset(images: TensorImages) -> Dataset:
    """MetaDataset with its bookkeeping handed over, so that it is not built in the timed part."""
    numbers: dict[int, list[int]] = {}
    for number, label in enumerate(images.labels):
        numbers.setdefault(label, []).append(number)
    return learn2learn().data.MetaDataset(
        images, labels_to_indices=numbers, indices_to_labels=dict(enumerate(images.labels))
    )


@functools.cache  # asked again, the shim is in place already and would seem not to be needed
def easyfsl_sampler_class() -> tuple[type, bool]:
    """easyfsl's TaskSampler, and whether the shim (see ``EASYFSL_SHIM``) was needed."""
    needed = "data_source" not in inspect.signature(Sampler.__init__).parameters
    if needed:

        def ignore_data_source(self: Sampler, data_source: object = None) -> None:
            """Take what older versions of torch took."""

        Sampler.__init__ = ignore_data_source  # type: ignore[method-assign, assignment]
    return importlib.import_module("easyfsl.samplers").TaskSampler, needed
