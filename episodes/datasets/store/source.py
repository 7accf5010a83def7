"""Data sets on disk: decoded once into a memory-mapped file in the cache folder, started from there ever after.

A reader derives from :class:`StoredSource` and says three things: which files a split is made of (cheap, at every
start), what layout they are in (in words), and how the images of one class are read (slow, once).
"""

import hashlib
import json
import logging
import os
import re
import shutil
from abc import abstractmethod
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from episodes.datasets.base import DataSource
from episodes.datasets.store.file import Stored, bytes_needed, is_full, read_store, write_store
from episodes.errors import UserError
from episodes.images.file_keys import files_key
from episodes.images.labelled import LabelledImages
from episodes.locks import locked
from episodes.progress import OnProgress, show_progress
from episodes.storage import CACHE_VARIABLE, cache_folder

FORMAT = 1  # to be raised when the store file or the order in it changes
SPLITS = ("train", "val", "test")
_NOTES_LOGGED = 3

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SplitContents:
    """The images of one split as its reader sees them, class by class.

    Attributes:
        class_names: in an order that is the same for every layout: sorted, or that of the official list.
        image_shape: (C, H, W).
        images_at_most: how many images there are, or would be if none were broken; for disk space and progress.
        read_class: number of a class -> its images, uint8 [n, C, H, W], in any order: the store sorts them (unless
            the reader keeps their order). Called from several threads at once. Raises UserError for files that cannot
            be read.
        notes: ``read_class`` may append lines about what it left out; they are logged, kept and shown by ``verify``.
    """

    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    images_at_most: int
    read_class: Callable[[int], NDArray[np.uint8]]
    notes: list[str] = field(default_factory=list)


class StoredSource(DataSource):
    """A data set made of files of the user's; building one touches nothing.

    In the store, images are sorted by class and, within a class, by the SHA-256 of their pixels. So the order depends
    on nothing but the images: not on file names, not on whether they came from a pickle or from a folder, and every
    layout of the same images has the same fingerprint. A reader whose ``keeps_order`` is true keeps the images of a
    class as it reads them, for data sets where the order of the files is part of what was published.

    Args:
        root: folder (or file) with the data set.
        cache_dir: folder for the decoded images; by default the user's cache folder, or what the environment variable
            FEWSHOT_SLA_CACHE says.
    """

    recipe: ClassVar[int] = 1  # to be raised by whoever changes what a reader makes of the same files
    how_to_get: ClassVar[str] = ""  # what to put under the root and where it comes from; ends the messages
    splits: ClassVar[tuple[str, ...]] = SPLITS
    keeps_order: ClassVar[bool] = False
    shares_classes: ClassVar[bool] = False  # all splits hold the same classes (classification, not few-shot learning)
    published_overlap: ClassVar[int] = 0  # pairs of equal images across splits in the data as they were published

    def __init__(self, root: str, cache_dir: str | None = None) -> None:
        self.root = Path(root).expanduser()
        self.cache_dir = cache_dir

    @abstractmethod
    def layout(self) -> str:
        """What was found under the root, in a few words.

        Raises:
            UserError: if nothing was, with what was looked for (see :meth:`missing`).
        """

    def available_splits(self) -> tuple[str, ...]:
        """The splits that are there; a reader of files that may lack one says which.

        Raises:
            UserError: if nothing is found under the root.
        """
        return self.splits

    @abstractmethod
    def source_key(self, split: str) -> str:
        """Anything that changes when the images of the split would change: see :func:`files_key`. Cheap.

        Raises:
            UserError: if the files are not there, or not in a layout that is known.
        """

    @abstractmethod
    def contents(self, split: str) -> SplitContents:
        """The split, for building the store; this may take its time.

        Raises:
            UserError: if the files cannot be read or do not fit the class list.
        """

    def open(
        self,
        split: str,  # "train", "val" or "test"
    ) -> LabelledImages:
        """The images of one split, uint8 [n, C, H, W], memory-mapped; decoded first if that was not done before.

        Raises:
            UserError: if the files are missing or broken, or the store cannot be written.
        """
        return self.stored(split).images

    def stored(self, split: str) -> Stored:
        """The split with the notes that were made when it was decoded.

        Raises:
            UserError: as :meth:`open`.
        """
        if split not in self.splits:
            raise UserError(f"{self.name}: there is no split {split!r}; the splits are {', '.join(self.splits)}")
        path = self.store_file(split)
        found = _read(path)
        if found is None:
            with _one_at_a_time(path):
                found = _read(path) or self._build(split, path)
        return found

    def store_file(self, split: str) -> Path:
        """Where the decoded split is kept; the name changes with everything that can change a pixel or a label.

        Raises:
            UserError: if the files of the split are not there, or there is no cache folder.
        """
        causes = [FORMAT, type(self).__qualname__, self.recipe, self.name, split, self.source_key(split)]
        causes += ["in the order of the files"] * self.keeps_order
        key = hashlib.sha256(json.dumps(causes).encode()).hexdigest()[:16]
        try:
            folder = Path(self.cache_dir).expanduser() if self.cache_dir else cache_folder()
        except OSError as error:
            raise UserError(f"{self.name}: {error}") from None
        plain = re.sub(r"[^\w.-]", "_", self.name)[:40]
        return folder / f"{plain}-{split}-{key}.safetensors"

    def missing(self, looked_for: str) -> UserError:
        """The error for files that are not there, one line: what was looked for, and what to put there.

        Args:
            looked_for: what is missing under the root, for instance ``"images/ with train.csv"``.
        """
        what = f"there is no {self.root}" if not self.root.exists() else f"{self.root} has no {looked_for}"
        return UserError(f"{self.name}: {what}. {self.how_to_get}".rstrip())

    def _build(self, split: str, path: Path) -> Stored:
        """Decode the split and keep it."""
        name = f"{self.name}/{split}"
        contents = self.contents(split)
        needed = bytes_needed(contents.images_at_most, contents.image_shape)
        try:
            _check_space(path.parent, needed)
            with show_progress(f"{name}: decoding, once") as on_progress:
                images = _classes_in_order(name, contents, self.keeps_order, on_progress)
                write_store(path, name, contents.class_names, contents.images_at_most, images, contents.notes)
            stored = read_store(path)
        except OSError as error:
            why = "the disk is full" if is_full(error) else str(error)
            raise UserError(
                f"{name}: cannot keep {needed / 1e9:.2f} GB of decoded images in {path.parent} ({why}); "
                f"make room, or name another folder with cache_dir or {CACHE_VARIABLE}"
            ) from None
        if contents.notes:
            first = "; ".join(stored.notes[:_NOTES_LOGGED])
            _log.warning("%s: %d remark(s), first: %s", name, len(contents.notes), first)
        _log.info("%s: %d images decoded into %s", name, len(stored.images), path)
        return stored


def sorted_by_content(
    images: NDArray[np.uint8],  # [n, C, H, W]
) -> NDArray[np.uint8]:  # [n, C, H, W]
    """The images by the SHA-256 of their pixels: an order that no file name and no layout has a part in."""
    digests = [hashlib.sha256(np.ascontiguousarray(image).data).digest() for image in images]
    return images[sorted(range(len(digests)), key=digests.__getitem__)]


def _classes_in_order(
    name: str, contents: SplitContents, keeps_order: bool, on_progress: OnProgress
) -> Iterator[NDArray[np.uint8]]:  # each [n_c, C, H, W]
    """The images of class after class, read by several threads a few classes ahead."""

    def read(number: int) -> NDArray[np.uint8]:
        try:
            images = contents.read_class(number)
        except OSError as error:
            raise UserError(f"{name}: cannot read class {contents.class_names[number]!r} ({error})") from None
        if not len(images):
            raise UserError(f"{name}: class {contents.class_names[number]!r} has no image that can be read")
        if images.dtype != np.uint8 or images.shape[1:] != contents.image_shape:
            raise TypeError(f"{name}: uint8 {contents.image_shape} promised, {images.dtype} {images.shape[1:]} read")
        return images if keeps_order else sorted_by_content(images)

    threads = min(8, os.cpu_count() or 1)
    waiting: list[Future[NDArray[np.uint8]]] = []
    done = 0
    with ThreadPoolExecutor(threads) as pool:
        try:
            for number in range(len(contents.class_names) + threads):
                if number < len(contents.class_names):
                    waiting.append(pool.submit(read, number))
                if number >= threads and waiting:
                    images = waiting.pop(0).result()
                    yield images
                    done += len(images)
                    on_progress("images", done, contents.images_at_most)
        finally:
            pool.shutdown(cancel_futures=True)


def _read(path: Path) -> Stored | None:
    """A store that is there and whole."""
    try:
        return read_store(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        _log.warning("cannot use the stored %s (%s); decoding the images anew", path, error)
        return None


def _check_space(folder: Path, needed: int) -> None:
    """Fail before an hour of decoding, not after it."""
    there = next((parent for parent in (folder, *folder.parents) if parent.exists()), Path("."))
    free = shutil.disk_usage(there).free
    if free < needed:
        raise OSError(f"{free / 1e9:.2f} GB are free")


@contextmanager
def _one_at_a_time(path: Path) -> Iterator[None]:
    """Let other processes wait for the one that decodes; where locks do not work, all decode, and the last one wins."""
    lock = path.with_name(f".{path.name}.lock")
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.touch()
    with locked(lock, wait=True):
        try:
            yield
        finally:
            with suppress(OSError):
                lock.unlink(missing_ok=True)


__all__ = ["SPLITS", "SplitContents", "Stored", "StoredSource", "files_key", "sorted_by_content"]
