"""tiered-ImageNet: 608 classes of ILSVRC-2012 at 84 x 84, divided by the higher categories that they belong to."""

from functools import cached_property
from pathlib import Path
from typing import ClassVar, Literal

from episodes.datasets.layouts.base import Layout
from episodes.datasets.layouts.class_lists import class_list
from episodes.datasets.layouts.imagenet import SIDE, check_classes
from episodes.datasets.layouts.tiered_imagenet import find_layout
from episodes.datasets.store.source import SplitContents, StoredSource, files_key
from episodes.errors import UserError
from episodes.storage import cache_folder

IMAGES = {"train": 448_695, "val": 124_261, "test": 206_209}


class TieredImageNet(StoredSource):
    """tiered-ImageNet: 351, 97 and 160 classes (20, 6 and 8 categories), 779,165 images of 84 x 84.

    The lists are those of Ren et al., Meta-learning for semi-supervised few-shot classification, ICLR 2018. The images
    are never in memory all at once, neither when they are decoded nor afterwards. See ``docs/data.md`` for the forms in
    which they may be.

    Args:
        root: folder with {train,val,test}_images_png.pkl or {train,val,test}_images.npz and {train,val,test}_labels.pkl
            (and synsets.txt, class_names.txt, if there are any); or with train/CLASS/, val/CLASS/, test/CLASS/, where
            CLASS is a WordNet number.
        npz_channels: order of the colours in the npz files. Those in circulation were written by OpenCV: blue, green,
            red.
        cache_dir: folder for the decoded images, 16.5 GB; by default the user's cache folder, or what the environment
            variable FEWSHOT_SLA_CACHE says.

    Raises:
        UserError: if the order of the colours is not one of the two.
    """

    name = "tiered_imagenet"
    how_to_get: ClassVar[str] = (
        "Give the folder that holds {train,val,test}_images_png.pkl or *_images.npz with *_labels.pkl "
        "(zenodo.org/records/7978538, file names without tiered-imagenet-; or github.com/renmengye/few-shot-ssl-public "
        "or github.com/kjunelee/MetaOptNet), or train/CLASS/, val/CLASS/, test/CLASS/; see docs/data.md"
    )

    def __init__(self, root: str, npz_channels: Literal["bgr", "rgb"] = "bgr", cache_dir: str | None = None) -> None:
        super().__init__(root, cache_dir)
        if npz_channels not in ("bgr", "rgb"):
            raise UserError(f"{self.name}: npz_channels must be bgr or rgb, not {npz_channels!r}")
        self.npz_channels = npz_channels

    @cached_property
    def _layout(self) -> Layout[str]:
        for root in (self.root, self.root / "tiered-imagenet", self.root / "tiered_imagenet"):
            found = find_layout(root, self.npz_channels == "bgr", self._scratch)
            if found is not None:
                return found
        raise self.missing("{train,val,test}_images_png.pkl, *_images.npz, or train/CLASS/")

    def _scratch(self) -> Path:
        """Where there is room for a file that is needed while images are decoded."""
        return Path(self.cache_dir).expanduser() if self.cache_dir else cache_folder()

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
            UserError: if there are none.
        """
        return files_key(self.root, self._layout.files(split), classes=self.classes(split), channels=self.npz_channels)

    def contents(self, split: str) -> SplitContents:
        """The split, checked against the official list as far as the files say which classes they hold.

        Raises:
            UserError: if files are broken, or hold other classes than they should.
        """
        opened, notes = self._layout.open(split), list[str]()
        if any(name in opened.counts for names in class_list(self.name).values() for name in names):
            check_classes(self.name, str(self.root), split, opened.counts)
        elif len(opened.counts) != len(self.classes(split)):
            raise UserError(
                f"{self.name}: {self.root} has {len(opened.counts)} {split} classes, "
                f"tiered-ImageNet {len(self.classes(split))}"
            )
        else:
            notes.append(
                "no WordNet numbers (synsets.txt and class_names.txt tell them): classes are counted, not checked"
            )
        names, count = tuple(sorted(opened.counts)), opened.count
        if count != IMAGES[split]:
            notes.append(f"{count} images; tiered-ImageNet has {IMAGES[split]}")
        return SplitContents(names, (3, SIDE, SIDE), count, lambda number: opened.read(names[number]), notes)
