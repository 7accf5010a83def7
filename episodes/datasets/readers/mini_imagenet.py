"""mini-ImageNet: 100 classes of ILSVRC-2012 at 84 x 84, in any of the forms that go from hand to hand."""

from functools import cached_property
from pathlib import Path
from typing import ClassVar

from episodes.datasets.layouts.base import Layout
from episodes.datasets.layouts.class_lists import class_list
from episodes.datasets.layouts.imagenet import SIDE, check_classes
from episodes.datasets.layouts.mini_imagenet import find_layout
from episodes.datasets.store.source import SplitContents, StoredSource, files_key

IMAGES_A_CLASS = 600


class MiniImageNet(StoredSource):
    """mini-ImageNet: 64, 16 and 20 classes of 600 images of 84 x 84.

    The lists are those of Ravi and Larochelle, Optimization as a model for few-shot learning, ICLR 2017; classes are
    called by their WordNet numbers. Images of another size are stretched to 84 x 84 (bilinear, antialiased; the aspect
    is not kept, as in the published files). See ``docs/data.md`` for the forms in which the images may be.

    Args:
        root: folder with images/ and train.csv, val.csv, test.csv; or with the pickles of MetaOptNet or of learn2learn;
            or with ILSVRC-2012; or with train/CLASS/, val/CLASS/, test/CLASS/.
        lists: folder with train.csv, val.csv and test.csv if they are not under the root; for ILSVRC-2012 and images/.
        cache_dir: folder for the decoded images; by default the user's cache folder, or what the environment variable
            FEWSHOT_SLA_CACHE says.
    """

    name = "mini_imagenet"
    how_to_get: ClassVar[str] = (
        "Give the folder that holds images/ with train.csv, val.csv, test.csv; or "
        "miniImageNet_category_split_*.pickle (github.com/kjunelee/MetaOptNet); or mini-imagenet-cache-*.pkl "
        "(zenodo.org/records/7978538); or ILSVRC-2012 with the csv lists of "
        "github.com/twitter-research/meta-learning-lstm; see docs/data.md"
    )

    def __init__(self, root: str, lists: str | None = None, cache_dir: str | None = None) -> None:
        super().__init__(root, cache_dir)
        self.lists = Path(lists).expanduser() if lists else None

    @cached_property
    def _layout(self) -> Layout[str]:
        found = find_layout(self.root, self.lists)
        if found is None:
            raise self.missing(
                "images/ with train.csv, val.csv, test.csv, no miniImageNet_category_split_*.pickle, no "
                "mini-imagenet-cache-*.pkl, and no folders nXXXXXXXX/ of its classes with csv lists"
            )
        return found

    def layout(self) -> str:
        """Which form was found.

        Raises:
            UserError: if none was.
        """
        return self._layout.description

    def classes(self, split: str) -> tuple[str, ...]:
        """WordNet numbers of the classes of a split, sorted."""
        return class_list(self.name)[split]

    def source_key(self, split: str) -> str:
        """Names, sizes and times of the files of the split.

        Raises:
            UserError: if there are none, or if a csv list has a class of another split.
        """
        return files_key(self.root, self._layout.files(split), classes=self.classes(split))

    def contents(self, split: str) -> SplitContents:
        """The split, checked against the official list.

        Raises:
            UserError: if files are broken, or hold other classes than they should.
        """
        opened = self._layout.open(split)
        check_classes(self.name, str(self.root), split, opened.counts)
        names, count = tuple(sorted(opened.counts)), opened.count
        notes = []
        if count != len(names) * IMAGES_A_CLASS:
            notes.append(f"{count} images in {len(names)} classes; mini-ImageNet has {IMAGES_A_CLASS} a class")
        return SplitContents(names, (3, SIDE, SIDE), count, lambda number: opened.read(names[number]), notes)
