"""CUB-200-2011 for few-shot learning: 200 kinds of birds, 100/50/50 by the list of Chen et al."""

import io
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from episodes.datasets.layouts.class_lists import class_list
from episodes.datasets.layouts.imagenet import check_classes
from episodes.datasets.store.download import Published, fetch_and_unpack
from episodes.datasets.store.source import SplitContents, StoredSource, files_key
from episodes.errors import UserError
from episodes.images.reading import MOST_PIXELS, BrokenImageError, list_folder, read_image

SIDE = 84
FOLDER = "CUB_200_2011"
ARCHIVE = Published(
    "https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz?download=1",
    f"{FOLDER}.tgz",
    1_150_585_339,
    "sha256:0c685df5597a8b24909f6a7c9db6d11e008733779a671760afef78feb49bf081",
)
IMAGES = 11_788

Box = tuple[float, float, float, float]  # left, top, width, height; pixels


class CUB(StoredSource):
    """CUB-200-2011 with 100, 50 and 50 classes, 84 by 84 pixels.

    Several lists are in use for CUB, and figures from different lists do not compare. This is that of Chen et al., A
    closer look at few-shot classification, ICLR 2019: of the classes counted from 0 the even ones are for training,
    those that leave 1 when divided by 4 for validation, those that leave 3 for test.

    The middle square of a photograph is resized to 84 by 84, antialiased and bilinear.

    Args:
        root: folder with CUB_200_2011/, or that folder.
        crop_to_box: cut out the bounding box of the bird first (bounding_boxes.txt); the square is then the middle one
            of the box. Many papers do, and their figures are higher.
        download: fetch the archive (1.15 GB) from data.caltech.edu and unpack it if it is not under the root.
        cache_dir: folder for the decoded images; by default the user's cache folder, or what the environment variable
            FEWSHOT_SLA_CACHE says.
    """

    name = "cub"
    how_to_get: ClassVar[str] = (
        f"Give the folder that holds {FOLDER}/, which {FOLDER}.tgz of https://data.caltech.edu/records/65de6-vp158 "
        "unpacks to; or download it with download=true"
    )

    def __init__(
        self, root: str, crop_to_box: bool = False, download: bool = False, cache_dir: str | None = None
    ) -> None:
        super().__init__(root, cache_dir)
        self.crop_to_box = crop_to_box
        self.download = download

    @cached_property
    def _folder(self) -> Path:
        """The unpacked CUB_200_2011."""
        for folder in (self.root / FOLDER, self.root):
            if (folder / "images").is_dir():
                return folder
        if self.download:
            fetch_and_unpack([ARCHIVE], self.root)
            return self.root / FOLDER
        packed = self.root / f"{FOLDER}.tgz"
        if packed.is_file():
            raise UserError(f"{self.name}: {packed} is not unpacked yet; unpack it there, or set download=true")
        raise self.missing(f"{FOLDER}/images/NNN.NAME/")

    def layout(self) -> str:
        """Where it was found.

        Raises:
            UserError: if it was not.
        """
        return f"{self._folder}/images{', cut to the bounding boxes' if self.crop_to_box else ''}; list of Chen et al."

    def classes(self, split: str) -> tuple[str, ...]:
        """Names of the classes of a split, as the folders are called; sorted."""
        return class_list(self.name)[split]

    def source_key(self, split: str) -> str:
        """Names, sizes and times of the images of the split.

        Raises:
            UserError: if there are none.
        """
        paths = [path for files in self._images(split).values() for path in files]
        return files_key(self.root, [*paths, *self._box_files()], classes=self.classes(split), box=self.crop_to_box)

    def contents(self, split: str) -> SplitContents:
        """The images of a split, by class.

        Raises:
            UserError: if a class is missing, or there are no boxes and they are wanted.
        """
        images, names = self._images(split), self.classes(split)
        check_classes(self.name, str(self._folder), split, [name for name, files in images.items() if files])
        boxes = _boxes(*self._box_files()) if self.crop_to_box else {}

        def read(number: int) -> NDArray[np.uint8]:
            return np.stack([self._read(path, boxes) for path in images[names[number]]])

        return SplitContents(names, (3, SIDE, SIDE), sum(map(len, images.values())), read)

    def _images(self, split: str) -> dict[str, list[Path]]:
        folders = {name: self._folder / "images" / name for name in self.classes(split)}
        return {name: list_folder(folder).images for name, folder in folders.items() if folder.is_dir()}

    def _box_files(self) -> list[Path]:
        return [self._folder / "images.txt", self._folder / "bounding_boxes.txt"] if self.crop_to_box else []

    def _read(self, path: Path, boxes: dict[str, Box]) -> NDArray[np.uint8]:
        if not self.crop_to_box:
            return read_image(path, SIDE)
        name = f"{path.parent.name}/{path.name}"
        if name not in boxes:
            raise UserError(f"{self.name}: {self._folder / 'bounding_boxes.txt'} has no box for {name}")
        return read_image(_cut(path, boxes[name]), SIDE, name=str(path))


def _boxes(names: Path, boxes: Path) -> dict[str, Box]:
    """The bounding box of every image: ``NUMBER NAME`` in one file, ``NUMBER LEFT TOP WIDTH HEIGHT`` in the other."""
    try:
        numbers = dict(line.split() for line in names.read_text(encoding="utf-8").splitlines() if line.strip())
        rows = [line.split() for line in boxes.read_text(encoding="utf-8").splitlines() if line.strip()]
        by_number = {row[0]: (float(row[1]), float(row[2]), float(row[3]), float(row[4])) for row in rows}
        return {name: by_number[number] for number, name in numbers.items()}
    except (OSError, ValueError, IndexError, KeyError) as error:
        raise UserError(f"{names} and {boxes} cannot be read together ({error!r})") from None


def _cut(path: Path, box: Box) -> bytes:
    """The box of a photograph as an image file, without loss."""
    from PIL import Image

    left, top, width, height = box
    try:
        with Image.open(path) as image:
            if image.width * image.height > MOST_PIXELS:
                raise BrokenImageError(f"{path}: {image.width} x {image.height} pixels are too many to be meant")
            right, bottom = min(left + width, image.width), min(top + height, image.height)
            cut = image.convert("RGB").crop((round(left), round(top), round(right), round(bottom)))
    except (OSError, SyntaxError, ValueError) as error:
        raise BrokenImageError(f"{path}: {error}") from None
    written = io.BytesIO()
    cut.save(written, "BMP")
    return written.getvalue()
