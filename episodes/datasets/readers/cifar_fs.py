"""CIFAR-FS and FC100: two ways to divide the 100 classes of CIFAR-100 for few-shot learning."""

from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from episodes.datasets.layouts.base import Layout
from episodes.datasets.layouts.cifar import ARCHIVE, FOLDER, SIDE, find_layout
from episodes.datasets.layouts.class_lists import class_list
from episodes.datasets.store.download import Published, fetch
from episodes.datasets.store.source import SplitContents, StoredSource, files_key
from episodes.errors import UserError

IMAGES_A_CLASS = 600
PUBLISHED = Published(
    f"https://www.cs.toronto.edu/~kriz/{ARCHIVE}",
    ARCHIVE,
    169_001_437,
    "sha256:85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
)


class _DividedCifar100(StoredSource):
    """CIFAR-100 with all 600 images a class, its classes divided in one way or another."""

    how_to_get: ClassVar[str] = (
        f"Give the folder that holds {ARCHIVE} (https://www.cs.toronto.edu/~kriz/cifar.html), packed or unpacked "
        f"({FOLDER}/); or cifar100/data/CLASS/*.png of the CIFAR-FS archive; or a folder a class; "
        "or download it with download=true"
    )

    def __init__(self, root: str, download: bool = False, cache_dir: str | None = None) -> None:
        super().__init__(root, cache_dir)
        self.download = download

    @abstractmethod
    def classes(self, split: str) -> tuple[str, ...]:
        """Names of the classes of a split, sorted."""

    @cached_property
    def _layout(self) -> Layout[Sequence[str]]:
        found = find_layout(self.root)
        if found is None and self.download:
            fetch(PUBLISHED.url, self.root / PUBLISHED.name, PUBLISHED.size, PUBLISHED.digest)
            found = find_layout(self.root)
        if found is None:
            raise self.missing(f"{ARCHIVE}, {FOLDER}/, cifar100/data/CLASS/ or CLASS/ with the names of CIFAR-100")
        return found

    def layout(self) -> str:
        """Which form of CIFAR-100 was found.

        Raises:
            UserError: if none was.
        """
        return self._layout.description

    def source_key(self, split: str) -> str:
        """Names, sizes and times of the files with the split's classes.

        Raises:
            UserError: if there are none.
        """
        classes = self.classes(split)
        return files_key(self.root, self._layout.files(classes), classes=classes)

    def contents(self, split: str) -> SplitContents:
        """The split's classes, train and test part of CIFAR-100 together.

        Raises:
            UserError: if a class is missing or a file is broken.
        """
        classes = self.classes(split)
        opened = self._layout.open(classes)
        count, notes = opened.count, list(opened.notes)
        if count != len(classes) * IMAGES_A_CLASS:
            notes.append(f"{count} images in {len(classes)} classes; CIFAR-100 has {IMAGES_A_CLASS} a class")
        return SplitContents(classes, (3, SIDE, SIDE), count, lambda number: opened.read(classes[number]), notes)


class CIFARFS(_DividedCifar100):
    """CIFAR-FS: 64, 16 and 20 classes of CIFAR-100, 600 images of 32 x 32 a class.

    The lists are those of Bertinetto, Henriques, Torr, Vedaldi, Meta-learning with differentiable closed-form solvers,
    ICLR 2019. See ``docs/data.md`` for the forms in which the images may be.

    Args:
        root: folder with CIFAR-100: the official archive (packed or unpacked), the CIFAR-FS archive, or a folder a
            class.
        download: fetch the official archive (169 MB) into the root if there is nothing of all that.
        cache_dir: folder for the decoded images; by default the user's cache folder, or what the environment variable
            FEWSHOT_SLA_CACHE says.
    """

    name = "cifar-fs"
    published_overlap = 15  # 7 of them seals of train that are otters of val

    def __init__(self, root: str, download: bool = False, cache_dir: str | None = None) -> None:
        super().__init__(root, download, cache_dir)

    def classes(self, split: str) -> tuple[str, ...]:
        """Names of the classes of a split, sorted."""
        return tuple(sorted(class_list("cifar_fs")[split]))

    def source_key(self, split: str) -> str:
        """Names, sizes and times of the files with the split's classes.

        Raises:
            UserError: if there are none, or if a list beside them is not that of CIFAR-FS.
        """
        for folder in (self.root, self.root / "cifar100"):
            self._check_list(folder / "splits" / "bertinetto" / f"{split}.txt", self.classes(split))
        return super().source_key(split)

    def _check_list(self, path: Path, classes: tuple[str, ...]) -> None:
        """A list that lies beside the images must say what ours says."""
        if path.is_file():
            names = set(path.read_text(encoding="utf-8", errors="replace").split())
            for name in sorted(names ^ set(classes)):
                wrong = "is not in that split of" if name in names else "is missing; it is in that split of"
                raise UserError(f"{path}: class {name!r} {wrong} CIFAR-FS")


class FC100(_DividedCifar100):
    """FC100: 12, 4 and 4 superclasses of CIFAR-100, which are 60, 20 and 20 classes of 600 images of 32 x 32.

    The lists are those of Oreshkin, Rodriguez, Lacoste, TADAM: task dependent adaptive metric for improved few-shot
    learning, NeurIPS 2018. See ``docs/data.md`` for the forms in which the images may be.

    Args:
        root: folder with CIFAR-100: the official archive (packed or unpacked), the CIFAR-FS archive, or a folder a
            class.
        download: fetch the official archive (169 MB) into the root if there is nothing of all that.
        cache_dir: folder for the decoded images; by default the user's cache folder, or what the environment variable
            FEWSHOT_SLA_CACHE says.
    """

    name = "fc100"
    published_overlap = 3

    def __init__(self, root: str, download: bool = False, cache_dir: str | None = None) -> None:
        super().__init__(root, download, cache_dir)

    def classes(self, split: str) -> tuple[str, ...]:
        """Names of the classes of a split, sorted."""
        superclasses = class_list("cifar100")
        return tuple(sorted(name for group in class_list("fc100")[split] for name in superclasses[group]))
