"""Photographs in train/CLASS, val/CLASS, test/CLASS with the same classes in each, read while they are trained on."""

from functools import cached_property
from pathlib import Path

from episodes.datasets.base import DataSource
from episodes.datasets.layouts.split_file import ALIASES
from episodes.errors import UserError, some
from episodes.images.files import ImageFiles, Reading
from episodes.images.reading import list_class_folders, list_folder


class StreamedFolders(DataSource):
    """Photographs for classification, in ``train/CLASS/*``, ``val/CLASS/*``, ``test/CLASS/*``; every class in each.

    For sets that are too large to be held in memory at the size of a network's images, such as CUB-200, MIT67, Stanford
    Dogs or ImageNet at 224 pixels. Any format that Pillow reads; images become colour images (three channels), upright
    as their EXIF data say, transparent parts white. A training image is a random part of a photograph, resized and
    mirrored half of the time; otherwise the photograph's shorter side is resized to 256/224 of the image's, and the
    centre cut out. A file that cannot be read ends the training, which names it.

    Args:
        root: the folder.
        image_size: side of the images in pixels.
        smallest_crop: smallest share of a photograph's area that a training image shows.
        flip: probability that a training image is mirrored.
        workers: processes that read ahead, at most one a processor; with 0 images are read when they are asked for.
        normalization_sample: how many training images the mean and deviation are computed from; with 0 they are those
            of ImageNet.

    Raises:
        UserError: if a number is out of range.
    """

    name = "photographs"  # until there is a root to be called after

    def __init__(
        self,
        root: str,
        image_size: int = 224,
        smallest_crop: float = 0.08,
        flip: float = 0.5,
        workers: int = 4,
        normalization_sample: int = 0,
    ) -> None:
        self.root = Path(root).expanduser()
        self.name = self.root.absolute().name or self.name
        self.reading = Reading(image_size, smallest_crop, flip, workers, normalization_sample)

    def open(self, split: str) -> ImageFiles:
        """The files of one split, class by class in the order of the names of training's classes.

        Raises:
            UserError: if the split is not there, has other classes than train, or a class has no image.
        """
        names = self._folders("train")
        folders = self._folders(split)
        for these, others, where in ((names, folders, split), (folders, names, "train")):
            missing = [name for name in these if name not in others]
            if missing:
                raise UserError(
                    f"{self._places[where]}: there is no folder for {some(map(repr, missing))}; all splits need all "
                    "classes"
                )
        classes = ((name, list_folder(folders[name]).images) for name in names)
        return ImageFiles.of_classes(classes, f"{self.name}/{split}", self.root, self.reading)

    def _folders(self, split: str) -> dict[str, Path]:
        """The folders of the classes of a split."""
        place = self._places.get(split)
        folders = list_class_folders(place) if place else {}
        if not folders:
            what = f"{place} has no folders of classes" if place else f"{self.root} has no folder {split}/"
            raise UserError(f"{what}; put the images into train/CLASS/, val/CLASS/ and test/CLASS/")
        return folders

    @cached_property
    def _places(self) -> dict[str, Path]:
        """The folders of the splits that are there."""
        if not self.root.is_dir():
            raise UserError(
                f"there is no folder {self.root}; give the one that holds train/CLASS/, val/CLASS/ and test/CLASS/"
            )
        found = list_class_folders(self.root)
        return {ALIASES[name.lower()]: place for name, place in found.items() if name.lower() in ALIASES}
