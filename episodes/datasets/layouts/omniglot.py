"""The forms in which people have Omniglot: the author's two zip archives, or what they unpack to."""

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from episodes.errors import UserError
from episodes.images.reading import list_class_folders, list_folder, read_image

_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError)
# Where the parts are, in a folder of one's own, of torchvision, and in a copy of the author's repository.
_PLACES = (".", "omniglot-py", "python", "omniglot/python")


class CharacterFolder:
    """The drawings of one character.

    Args:
        path: the folder, or the archive.
        archive: the archive, open; None for a folder.
        members: names of the drawings in the archive.
    """

    def __init__(self, path: Path, archive: zipfile.ZipFile | None = None, members: tuple[str, ...] = ()) -> None:
        self.path = path
        self.archive = archive
        self.members = members
        self.files = () if archive else tuple(list_folder(path).images)

    def __len__(self) -> int:
        return len(self.members) + len(self.files)

    def read(
        self,
        side: int,  # pixels
    ) -> NDArray[np.uint8]:  # [n, 1, side, side], as in the files: ink 0 on 255
        """All drawings, resized. Several threads may read at once.

        Raises:
            UserError: if one of them cannot be read.
        """
        if not len(self):
            return np.empty((0, 1, side, side), np.uint8)
        if self.archive is None:
            return np.stack([read_image(path, side, "L", "stretch") for path in self.files])
        try:
            drawings = [(self.archive.read(name), f"{self.path}: {name}") for name in self.members]
        except _BROKEN as error:
            raise broken(self.path, error) from None
        return np.stack([read_image(data, side, "L", "stretch", name) for data, name in drawings])

    @classmethod
    def all_in(cls, path: Path, part: str) -> Mapping[str, "CharacterFolder"]:
        """All characters of a part by name, ``ALPHABET/characterNN``.

        Args:
            path: the archive or the folder.
            part: what the archive has everything in.

        Raises:
            UserError: if it cannot be read.
        """
        if path.is_file():
            return cls._in_archive(path, part)
        return {
            f"{alphabet}/{name}": cls(folder)
            for alphabet, inside in list_class_folders(path).items()
            for name, folder in list_class_folders(inside).items()
        }

    @classmethod
    def _in_archive(cls, path: Path, part: str) -> Mapping[str, "CharacterFolder"]:
        try:
            # Open as long as there are characters in it: its table of contents takes long to read.
            archive = zipfile.ZipFile(path)
        except _BROKEN as error:
            raise broken(path, error) from None
        members: dict[str, list[str]] = {}
        for name in sorted(archive.namelist()):
            pieces = name.split("/")
            if len(pieces) == 4 and pieces[0] == part and pieces[3].lower().endswith(".png"):
                members.setdefault("/".join(pieces[1:3]), []).append(name)
        return {character: cls(path, archive, tuple(found)) for character, found in members.items()}


def find_part(root: Path, part: str) -> Path | None:
    """The folder or, where there is none, the archive of one part under a root.

    Args:
        root: the folder.
        part: ``images_background`` or ``images_evaluation``.
    """
    for place in _PLACES:
        for path in (root / place / part, root / place / f"{part}.zip"):
            if path.exists():
                return path
    return None


def broken(path: Path, error: Exception) -> UserError:
    """The error for an archive that cannot be read."""
    return UserError(f"{path} is cut off or damaged ({error}); delete it and get it again")
