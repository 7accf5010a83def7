"""Photographs in train/CLASS, val/CLASS, test/CLASS with the same classes in each, read while they are trained on."""

from functools import cached_property
from pathlib import Path

from episodes.datasets.base import DataSource
from episodes.datasets.layouts.split_file import ALIASES
from episodes.datasets.readers.held_out import files_held_out, no_val
from episodes.errors import UserError, some
from episodes.images.files import ImageFiles, Reading
from episodes.images.reading import list_class_folders, list_folder

_OTHERWISE = {
    "val": ", or hold images out of train with val_per_class",
    "test": ", or set val_is_test if val/ is to be tested on",
}


class StreamedFolders(DataSource):
    """Photographs for classification, in ``train/CLASS/*``, ``val/CLASS/*``, ``test/CLASS/*``; every class in each.

    For sets that are too large to be held in memory at the size of a network's images, such as CUB-200, MIT67, Stanford
    Dogs or ImageNet at 224 pixels. Any format that Pillow reads; images become colour images (three channels), upright
    as their EXIF data say, transparent parts white. A training image is a random part of a photograph, resized and
    mirrored half of the time; otherwise the photograph's shorter side is resized to 256/224 of the image's, and the
    centre cut out. A file that cannot be read ends the training, which names it.

    ImageNet is published with train/ and val/ alone: with ``val_is_test`` val/ is the test split, a folder test/ is not
    looked at, and what we call val is held out of train, with ``val_per_class``.

    Args:
        root: the folder.
        image_size: side of the images in pixels.
        smallest_crop: smallest share of a photograph's area that a training image shows.
        flip: probability that a training image is mirrored.
        workers: processes that read ahead, at most one a processor; with 0 images are read when they are asked for.
        normalization_sample: how many training images the mean and deviation are computed from; with 0 they are those
            of ImageNet.
        val_is_test: whether the folder val/ is the test split.
        val_per_class: images a class, the last ones of train by name of file, that are held out for validation; for
            folders without val/, or where that is the test split.

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
        val_is_test: bool = False,
        val_per_class: int = 0,
    ) -> None:
        if val_per_class < 0:
            raise UserError(f"val_per_class must be 0 or more, not {val_per_class}")
        self.val_is_test, self.val_per_class = val_is_test, val_per_class
        self.root = Path(root).expanduser()
        self.name = self.root.absolute().name or self.name
        self.reading = Reading(image_size, smallest_crop, flip, workers, normalization_sample)

    def open(self, split: str) -> ImageFiles:
        """The files of one split, class by class in the order of the names of training's classes.

        Raises:
            UserError: if the split is not there, has other classes than train, or a class has no image; or if val is to
                be held out of train though there is a folder for it.
        """
        if split == "test" or not (self.val_is_test or self.val_per_class):
            return self._files(split, split)
        if split == "val" and not self.val_per_class:
            raise no_val(self.name, "val_per_class (50, say)")
        if self.val_per_class and "val" in self._places:
            raise UserError(
                f"{self._places['val']} is the split val, and val_per_class would hold another out of train; leave "
                "val_per_class at 0, or set val_is_test"
            )
        return files_held_out(self._files("train", split), self.val_per_class, split)

    def _files(
        self,
        part: str,  # whose folders
        split: str,  # what the files are for
    ) -> ImageFiles:
        """All files of a folder of folders."""
        names = self._folders("train")
        folders = self._folders(part)
        for these, others, where in ((names, folders, part), (folders, names, "train")):
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
            part = "val" if split == "test" and self.val_is_test else split
            what = f"{place} has no folders of classes" if place else f"{self.root} has no folder {part}/"
            hint = _OTHERWISE.get(split, "") if part == split and not place else ""
            raise UserError(f"{what}; put the images into train/CLASS/, val/CLASS/ and test/CLASS/{hint}")
        return folders

    @cached_property
    def _places(self) -> dict[str, Path]:
        """The folders of the splits that are there."""
        if not self.root.is_dir():
            raise UserError(
                f"there is no folder {self.root}; give the one that holds train/CLASS/, val/CLASS/ and test/CLASS/"
            )
        found = list_class_folders(self.root)
        places = {ALIASES[name.lower()]: place for name, place in found.items() if name.lower() in ALIASES}
        if self.val_is_test:
            places.pop("test", None)  # of ImageNet it has no labels
            if "val" in places:
                places["test"] = places.pop("val")
        return places
