"""Omniglot: 1,623 characters of 50 alphabets, each drawn by 20 people; 28 x 28, ink 255 on 0."""

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from episodes.datasets.layouts.class_lists import class_list
from episodes.datasets.layouts.omniglot import CharacterFolder, find_part
from episodes.datasets.store.download import Published, fetch
from episodes.datasets.store.source import SPLITS, SplitContents, StoredSource, files_key
from episodes.errors import UserError
from episodes.images.reading import list_class_folders
from episodes.transformations import Rotation

SIDE = 28
DRAWERS = 20
CHARACTERS = {"images_background": 964, "images_evaluation": 659}

_URL = "https://raw.githubusercontent.com/brendenlake/omniglot/master/python/"
ARCHIVES = {
    part: Published(f"{_URL}{part}.zip", f"{part}.zip", size, digest)
    for part, size, digest in (
        ("images_background", 9_464_212, "sha256:ad41ab679c8b5d90b271ef46be6987cc81211774a695c29dcc5367b2b26ee640"),
        ("images_evaluation", 6_462_886, "sha256:1f61a8f3366785b057fc117d9228e78a16e3d976c8953b2a10fcc74cf0609cee"),
    )
}


class _Character(NamedTuple):
    """One character: its name ``ALPHABET/characterNN`` and where its drawings are."""

    name: str
    folder: CharacterFolder


class Omniglot(StoredSource):
    """Omniglot, 28 by 28 pixels, ink 255 on 0; a class is a character.

    Two conventions, both with 172 validation characters, the alphabets Armenian, Bengali, Early Aramaic, Hebrew and
    Georgian:

    - ``vinyals``: the split of Vinyals et al., Matching networks for one shot learning, NeurIPS 2016, in the lists that
      Snell et al. published with Prototypical networks (NeurIPS 2017): 1,200 characters to train on, of which 172 are
      for validation, and 423 to test on; 1028/172/423. Gurmukhi is in training and in test, with other characters.
    - ``lake``: the split of Lake et al., Human-level concept learning through probabilistic program induction, Science
      2015: the 30 background alphabets to train on (964 characters, of which 172 are for validation) and the 20
      evaluation alphabets to test on; 792/172/659.

    Both papers that made few-shot learning on Omniglot known took a character turned by 90, 180 and 270 degrees for
    three more classes (1,200 become 4,800). That is ``rotations_as_classes``. It contradicts self-supervised label
    augmentation by rotation: the same picture would be "a, turned by 90 degrees" and "a90, not turned", two labels for
    equal images. So it is off unless asked for; ask for it for baselines without rotations in the label augmentation.

    The drawings are 105 by 105; they are resized antialiased and bilinear, and inverted.

    Args:
        root: folder with images_background and images_evaluation, as zip archives or unpacked.
        convention: which characters are for what.
        rotations_as_classes: make four classes of every character in every split. Refused together with rotations as
            label augmentation.
        download: fetch the archives (16 MB) from the author's repository if they are not under the root.
        cache_dir: folder for the decoded images; by default the user's cache folder, or what the environment variable
            FEWSHOT_SLA_CACHE says.

    Raises:
        UserError: if there is no such convention.
    """

    name = "omniglot"
    how_to_get: ClassVar[str] = (
        "Give the folder that holds images_background.zip and images_evaluation.zip of "
        "github.com/brendenlake/omniglot (python/), packed or unpacked; or download them with download=true"
    )

    def __init__(
        self,
        root: str,
        convention: Literal["vinyals", "lake"] = "vinyals",
        rotations_as_classes: bool = False,
        download: bool = False,
        cache_dir: str | None = None,
    ) -> None:
        super().__init__(root, cache_dir)
        if convention not in ("vinyals", "lake"):
            raise UserError(f"{self.name}: convention must be vinyals or lake, not {convention!r}")
        self.convention = convention
        self.rotations_as_classes = rotations_as_classes
        self.classes_under = Rotation().names[1:] if rotations_as_classes else ()
        self.download = download

    @cached_property
    def _parts(self) -> dict[str, Path]:
        """Where images_background and images_evaluation are."""
        found = {part: find_part(self.root, part) for part in CHARACTERS}
        for part in CHARACTERS:
            if found[part] is None and self.download:
                published = ARCHIVES[part]
                found[part] = fetch(published.url, self.root / published.name, published.size, published.digest)
        lacking = [part for part, path in found.items() if path is None]
        if lacking:
            raise self.missing(" and no ".join(f"{part}.zip or {part}/" for part in lacking))
        return {part: path for part, path in found.items() if path is not None}

    def layout(self) -> str:
        """Which form was found, and which convention is asked for.

        Raises:
            UserError: if none was.
        """
        places = " and ".join(str(path) for path in self._parts.values())
        turned = ", four rotations of a character as classes" if self.rotations_as_classes else ""
        return f"{places}; split of {self.convention}{turned}"

    def source_key(self, split: str) -> str:
        """Names, sizes and times of the archives or of the folders of the characters.

        Raises:
            UserError: if there are none.
        """
        paths = [path for part in self._parts.values() for path in _paths(part)]
        options = {"convention": self.convention, "rotations_as_classes": self.rotations_as_classes}
        return files_key(self.root, paths, lists=class_list(self.name), **options)

    def contents(self, split: str) -> SplitContents:
        """The characters of a split, by name.

        Raises:
            UserError: if an archive is broken, or characters are missing.
        """
        chosen = self._chosen(split)
        turns = 4 if self.rotations_as_classes else 1
        names = tuple(
            f"{character.name}/rot{90 * turn:03d}" if turns > 1 else character.name
            for character in chosen
            for turn in range(turns)
        )
        counts = [len(character.folder) for character in chosen]
        notes = [
            f"{character.name} has {count} drawings, not {DRAWERS}"
            for character, count in zip(chosen, counts, strict=True)
            if count != DRAWERS
        ]

        def read(number: int) -> NDArray[np.uint8]:
            drawings = 255 - chosen[number // turns].folder.read(SIDE)
            return np.rot90(drawings, number % turns, axes=(2, 3))

        return SplitContents(names, (1, SIDE, SIDE), sum(counts) * turns, read, notes)

    def _chosen(self, split: str) -> list[_Character]:
        """The characters of a split."""
        everywhere: list[_Character] = []
        chosen: list[_Character] = []
        for part, path in self._parts.items():
            folders = CharacterFolder.all_in(path, part)
            characters = [_Character(name, folder) for name, folder in sorted(folders.items())]
            if len(characters) != CHARACTERS[part]:
                raise UserError(f"{self.name}: {path} has {len(characters)} characters, should be {CHARACTERS[part]}")
            everywhere += characters
            chosen += [found for found in characters if split_of(found.name, part, self.convention) == split]
        _refuse_unknown(everywhere)
        return sorted(chosen, key=lambda character: character.name)


def split_of(name: str, part: str, convention: str) -> str:
    """The split that a character belongs to.

    >>> split_of("Gurmukhi/character42", "images_evaluation", "vinyals")
    'test'
    >>> split_of("Gurmukhi/character41", "images_evaluation", "vinyals")
    'train'

    Args:
        name: ``ALPHABET/characterNN``.
        part: ``images_background`` or ``images_evaluation``.
        convention: ``vinyals`` or ``lake``.
    """
    listed = class_list("omniglot")
    if convention == "lake" and part == "images_evaluation":
        return "test"
    alphabet = name.split("/")[0]
    for split in SPLITS[1:]:
        if name in listed[split] or alphabet in listed[split]:
            return split
    return "train"


def _paths(part: Path) -> Iterable[Path]:
    """What tells whether a part has changed: the archive, or the folders with drawings."""
    if part.is_file():
        return [part]
    return [
        folder for alphabet in list_class_folders(part).values() for folder in list_class_folders(alphabet).values()
    ]


def _refuse_unknown(characters: Iterable[_Character]) -> None:
    """The lists name alphabets; one that is not there would leave a split smaller than it says."""
    there = {name for character in characters for name in (character.name, character.name.split("/")[0])}
    for split, names in class_list("omniglot").items():
        for name in names:
            if name not in there:
                raise UserError(f"omniglot: {name} is missing, which is for {split}")
