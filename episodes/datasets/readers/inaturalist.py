"""iNaturalist: photographs of living things in files, with JSON lists in COCO's form that say what each shows."""

import os
from pathlib import Path

import numpy as np
import torch

from episodes.datasets.base import DataSource
from episodes.datasets.layouts.json_list import ListedImages, read_json_list, refuse_missing
from episodes.datasets.readers.held_out import files_held_out, no_val
from episodes.errors import UserError
from episodes.images.files import ImageFiles, Reading

NAMES = "categories.json"


class INaturalist(DataSource):
    """iNaturalist 2018: 8,142 species, 437,513 photographs to train on and 24,426 to test on, read as they are needed.

    Its published validation list is the test split here, as nobody has the labels of its test part. What we call val is
    held out of train, with ``val_per_class``. Van Horn et al., "The iNaturalist Species Classification and Detection
    Dataset", CVPR 2018. Any other set with lists in COCO's form (iNaturalist 2017, 2019, 2021, one's own) is read by
    the names of its lists.

    Classes are in the order of the categories' ids. They are called as in ``categories.json``, if that lies beside the
    lists: the names in the lists of 2018 are obfuscated. Images are read as by StreamedFolders.

    Opening a split reads its list, and lists every folder that it names: a file that is not there is found at once.
    Whether a file is an image shows when it is read; if not, the training ends and names it.

    Args:
        root: the folder with the lists, which the names in them are relative to.
        train_list: file with the images to train on.
        test_list: file with the images to test on.
        val_per_class: images a class, the last ones of ``train_list``, that are held out for validation; with 0 there
            is no split val. The rarest species of 2018 have 2 images.
        image_size: side of the images in pixels.
        smallest_crop: smallest share of a photograph's area that a training image shows.
        flip: probability that a training image is mirrored.
        workers: processes that read ahead, at most one a processor; with 0 images are read when they are asked for.
        normalization_sample: how many training images the mean and deviation are computed from; with 0 they are those
            of ImageNet.

    Raises:
        UserError: if a number is out of range.
    """

    name = "inaturalist"

    def __init__(
        self,
        root: str,
        train_list: str = "train2018.json",
        test_list: str = "val2018.json",
        val_per_class: int = 0,
        image_size: int = 224,
        smallest_crop: float = 0.08,
        flip: float = 0.5,
        workers: int = 4,
        normalization_sample: int = 0,
    ) -> None:
        if val_per_class < 0:
            raise UserError(f"{self.name}: val_per_class must be 0 or more, not {val_per_class}")
        self.root = Path(root).expanduser()
        self.train_list, self.test_list, self.val_per_class = train_list, test_list, val_per_class
        self.name += "".join(filter(str.isdigit, train_list))  # the year
        self.reading = Reading(image_size, smallest_crop, flip, workers, normalization_sample)

    def open(self, split: str) -> ImageFiles:
        """The files of one split, class by class in the order of the categories' ids.

        Raises:
            UserError: if the list is not there, is damaged or names files that are not there; if a class has too few
                images to train on.
        """
        if split == "val" and not self.val_per_class:
            raise no_val(self.name, "val_per_class (1, say)")
        path = self.root / (self.test_list if split == "test" else self.train_list)
        if not path.is_file():
            raise UserError(
                f"there is no file {path}; root is the folder with the lists and the unpacked images, and train_list "
                "and test_list are the names of the lists"
            )
        names = self.root / NAMES
        listed = read_json_list(path, names if names.is_file() else None)
        if split != "test":
            _refuse_empty(path, listed)
        folders = refuse_missing(path, self.root, listed.files)
        images = ImageFiles(
            paths=tuple(os.path.join(self.root, file) for file in listed.files),
            labels=torch.from_numpy(listed.labels),
            class_names=listed.class_names,
            name=f"{self.name}/{split}",
            root=self.root,
            reading=self.reading,
            known_by=(str(path), *map(str, folders)),
        )
        return images if split == "test" else files_held_out(images, self.val_per_class, split)


def _refuse_empty(path: Path, listed: ListedImages) -> None:
    empty = np.flatnonzero(np.bincount(listed.labels, minlength=len(listed.class_names)) == 0)
    if len(empty):
        first = listed.class_names[int(empty[0])]
        raise UserError(
            f"{path}: {len(empty)} of {len(listed.class_names)} categories have no image to train on, first: {first!r}"
        )
