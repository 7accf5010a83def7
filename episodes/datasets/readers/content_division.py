"""Pictures divided by what they show: who is held out depends on pixels and a seed, and on no name of a file."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from episodes.errors import UserError
from episodes.images.reading import BrokenImageError, read_image


class Division(NamedTuple):
    """Files of one class on their sides.

    Attributes:
        files: split -> its files.
        broken: a line each about files that cannot be read.
    """

    files: Mapping[str, list[Path]]
    broken: tuple[str, ...]


def divide_files(files: Sequence[Path], shares: Mapping[str, float], seed: int, what: str) -> Division:
    """Files of one class, divided by their pictures; what is not held out is train.

    Args:
        files: of images.
        shares: split -> share of the pictures that is held out for it.
        seed: of the division.
        what: what messages call the class.

    Raises:
        UserError: if there are too few different pictures.
    """
    digests: dict[Path, bytes] = {}
    broken: list[str] = []
    for path in files:
        try:
            digests[path] = picture_digest(path)
        except BrokenImageError as error:
            broken.append(str(error))
    try:
        sides = divide(set(digests.values()), shares, seed)
    except UserError as error:
        first = f"; {broken[0]}" if broken else ""
        raise UserError(f"{what} {error}{first}") from None
    divided: dict[str, list[Path]] = {split: [] for split in ("train", *shares)}
    for path, digest in digests.items():
        divided[sides[digest]].append(path)
    return Division(divided, tuple(broken))


def picture_digest(path: Path) -> bytes:
    """SHA-256 of a picture's pixels: upright, in colour, in the size that it has.

    Raises:
        BrokenImageError: if it cannot be read.
    """
    pixels = read_image(path)
    return hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).digest()


def divide(
    digests: set[bytes],
    shares: Mapping[str, float],  # each above 0, together below 1
    seed: int,
) -> Mapping[bytes, str]:  # digest -> split
    """Each digest's split. They are put in an order that the seed draws; each share is rounded, at least one.

    >>> sides = divide({bytes([number]) for number in range(10)}, {"test": 0.2, "val": 0.2}, seed=0)
    >>> sorted(sides.values())
    ['test', 'test', 'train', 'train', 'train', 'train', 'train', 'train', 'val', 'val']

    Raises:
        UserError: if nothing would be left for train; the message wants the name of the class before it.
    """
    salt = f"{seed}:".encode()
    ordered = sorted(digests, key=lambda digest: hashlib.sha256(salt + digest).digest())
    # 0.7 of 45 is 31.5, but a little less as a product of floats.
    counts = {split: max(1, int(round(share * len(ordered), 9) + 0.5)) for split, share in shares.items()}
    held = [split for split, count in counts.items() for _ in range(count)]
    if len(held) >= len(ordered):
        names = ", ".join(f"{split} ({share:g})" for split, share in shares.items())
        raise UserError(f"has {len(ordered)} different images that can be read, too few to hold some out for {names}")
    sides = [*held, *["train"] * (len(ordered) - len(held))]
    return dict(zip(ordered, sides, strict=True))
