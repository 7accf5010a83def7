"""The M known transformations of an image: rotations by quarter turns, permutations of its colours, compositions.

A set of transformations is ordered, named, knows its own M, and begins with the identity. Those here only move numbers
about, so they are exact, and the M views of a whole batch are made in a handful of batched operations.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import product

import torch
from torch import Tensor

from episodes.errors import UserError

COLOR_ORDERS = ("RGB", "GBR", "BRG", "GRB", "RBG", "BGR")  # the three even (cyclic) permutations first
CYCLIC_COLOR_ORDERS = COLOR_ORDERS[:3]
QUARTER_TURNS = (0, 90, 180, 270)


class Transformations(ABC):
    """A named, ordered set of M image transformations, the identity first (the t_1..t_M of Lee et al., section 2.1).

    A set of one's own gives ``names``, :meth:`forward` and, if it cannot take every image, :meth:`check`.

    Attributes:
        names: of the transformations.
        photometric: whether it computes with the values of pixels, as solarisation does; it is then given floats
            between 0 and 1. Any other set only moves numbers about and is given normalised images.
    """

    names: tuple[str, ...]
    photometric: bool = False

    @property
    def m(self) -> int:
        """M, the number of transformations."""
        return len(self.names)

    def check(self, channels: int, height: int, width: int) -> None:  # noqa: B027 - a hook: most sets take any image
        """Raise UserError if images of this shape cannot be transformed exactly; called before training starts."""

    def __call__(
        self,
        images: Tensor,  # [..., C, H, W] any dtype
    ) -> Tensor:  # [..., M, C, H, W] same dtype; view 0 is the image itself
        """All M views of every image.

        Raises:
            UserError: if the shape of the images does not allow it (see :meth:`check`).
        """
        self.check(*images.shape[-3:])
        return self.forward(images)

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """All M views of every image, shapes as in :meth:`__call__`, which has checked them."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self.names)})"


class Identity(Transformations):
    """M = 1: the image as it is.

    >>> Identity()(torch.zeros(2, 3, 8, 8)).shape
    torch.Size([2, 1, 3, 8, 8])
    """

    names = ("identity",)

    def forward(self, images: Tensor) -> Tensor:
        """One view: the image itself."""
        return images.unsqueeze(-4)


class Rotation(Transformations):
    """Counter-clockwise rotations by quarter turns (M = 4, or any subset that begins with 0).

    >>> Rotation()(torch.zeros(2, 3, 8, 8)).shape
    torch.Size([2, 4, 3, 8, 8])

    Args:
        degrees: angles in degrees, multiples of 90, each once, 0 first.

    Raises:
        UserError: if the angles are others; later, if a quarter turn is asked of images that are not square.
    """

    def __init__(self, degrees: Sequence[int] = QUARTER_TURNS) -> None:
        _check_choice("degrees", degrees, QUARTER_TURNS)
        self.degrees = tuple(degrees)
        self.names = tuple(f"rotate{angle}" if angle else "identity" for angle in degrees)

    def check(self, channels: int, height: int, width: int) -> None:
        """Quarter turns need square images; half turns do not."""
        if height != width and any(angle % 180 for angle in self.degrees):
            raise UserError(
                f"rotation by 90 degrees needs square images, these are {height}x{width} (height x width); "
                "crop or resize them to a square, or use degrees [0, 180]"
            )

    def forward(self, images: Tensor) -> Tensor:
        """One view an angle."""
        return torch.stack([torch.rot90(images, angle // 90, (-2, -1)) for angle in self.degrees], dim=-4)


class ColorPermutation(Transformations):
    """Permutations of the colour channels (M = 6, or any subset that begins with RGB).

    "GBR" means that the new red is the old green, the new green the old blue, the new blue the old red.

    >>> ColorPermutation()(torch.zeros(2, 3, 8, 8)).shape
    torch.Size([2, 6, 3, 8, 8])

    Args:
        orders: permutations of the letters R, G and B, each once, RGB first.

    Raises:
        UserError: if the orders are others; later, if the images do not have three channels.
    """

    def __init__(self, orders: Sequence[str] = COLOR_ORDERS) -> None:
        _check_choice("orders", orders, COLOR_ORDERS)
        self.orders = tuple(orders)
        self.names = tuple(order if order != "RGB" else "identity" for order in orders)
        self._channels = _Numbers([["RGB".index(letter) for letter in order] for order in orders])  # [M, 3]

    def check(self, channels: int, height: int, width: int) -> None:
        """Colours can be permuted where there are three."""
        if channels != 3:
            raise UserError(
                f"colour permutation needs images with 3 channels, these have {channels}; "
                "use Rotation, or colour images"
            )

    def forward(self, images: Tensor) -> Tensor:
        """One view an order."""
        return images[..., self._channels.on(images.device), :, :]


class Composition(Transformations):
    """Every transformation of the first set followed by every one of the second (M = M_first * M_second).

    >>> Composition(Rotation(), ColorPermutation()).m
    24

    Args:
        first: applied first; its index varies slowest.
        second: applied to each view that the first makes; its index varies fastest.

    Raises:
        UserError: if two of the compositions are the same, as when rotations are composed with rotations.
    """

    def __init__(self, first: Transformations, second: Transformations) -> None:
        self.first, self.second = first, second
        self.photometric = first.photometric or second.photometric
        self.names = tuple(_join_names(a, b) for a, b in product(first.names, second.names))
        twice = [name for k, name in enumerate(self.names) if name in self.names[:k]]
        if twice:
            raise UserError(f"composition of {first} and {second}: {twice[0]!r} occurs twice")

    def check(self, channels: int, height: int, width: int) -> None:
        """Both sets must be able to take the images."""
        self.first.check(channels, height, width)
        self.second.check(channels, height, width)

    def forward(self, images: Tensor) -> Tensor:
        """One view a pair."""
        return self.second.forward(self.first.forward(images)).flatten(-5, -4)


class Subset(Transformations):
    """Some of another set's transformations, chosen by name.

    >>> Subset(Rotation(), ["identity", "rotate180"]).m
    2

    Args:
        of: the set to choose from.
        names: names of that set, each once, in the wanted order, "identity" first.

    Raises:
        UserError: if a name is not one of the set's, occurs twice, or "identity" does not come first.
    """

    def __init__(self, of: Transformations, names: Sequence[str]) -> None:
        _check_choice("names", names, of.names)
        self.of = of
        self.names = tuple(names)
        self.photometric = of.photometric
        self._views = _Numbers([of.names.index(name) for name in names])  # [M]

    def check(self, channels: int, height: int, width: int) -> None:
        """What the whole set cannot take, the subset does not try."""
        self.of.check(channels, height, width)

    def forward(self, images: Tensor) -> Tensor:
        """The chosen views."""
        return self.of.forward(images).index_select(-4, self._views.on(images.device))


def named_transformations(name: str) -> Transformations:
    """The sets of table 4 of Lee et al. (ICML 2020) by name, ``rotation{1,2,4}`` x ``color{1,3,6}``.

    >>> [named_transformations(name).m for name in NAMED_SETS]
    [1, 2, 4, 3, 6, 6, 12, 24]

    Args:
        name: a key of ``NAMED_SETS``, for instance ``"rotation4"`` (M = 4) or ``"rotation4+color6"`` (M = 24).

    Raises:
        UserError: if there is no such set.
    """
    if name not in NAMED_SETS:
        raise UserError(f"no set of transformations is called {name!r}; there are {', '.join(NAMED_SETS)}")
    return NAMED_SETS[name]()


NAMED_SETS = {
    "identity": Identity,
    "rotation2": lambda: Rotation((0, 180)),
    "rotation4": Rotation,
    "color3": lambda: ColorPermutation(CYCLIC_COLOR_ORDERS),
    "color6": ColorPermutation,
    "rotation2+color3": lambda: Composition(Rotation((0, 180)), ColorPermutation(CYCLIC_COLOR_ORDERS)),
    "rotation4+color3": lambda: Composition(Rotation(), ColorPermutation(CYCLIC_COLOR_ORDERS)),
    "rotation4+color6": lambda: Composition(Rotation(), ColorPermutation()),
}


class _Numbers:
    """Which channels, or which views; copied to each device once, not at every call."""

    def __init__(self, numbers: list) -> None:
        self._by_device = {torch.device("cpu"): torch.tensor(numbers)}

    def on(self, device: torch.device) -> Tensor:  # int64
        if device not in self._by_device:
            self._by_device[device] = self._by_device[torch.device("cpu")].to(device)
        return self._by_device[device]


def _join_names(first: str, second: str) -> str:
    parts = [name for name in (first, second) if name != "identity"]
    return "+".join(parts) or "identity"


def _check_choice(what: str, chosen: Sequence, allowed: Sequence) -> None:
    """A choice is a list of allowed values, each once, that begins with the identity."""
    wrong = [value for value in chosen if value not in allowed]
    if wrong:
        raise UserError(f"{what}: {wrong[0]!r} is not one of {', '.join(map(str, allowed))}")
    if len(set(chosen)) != len(chosen):
        raise UserError(f"{what}: {list(chosen)} names one of them twice")
    if not chosen or chosen[0] != allowed[0]:
        raise UserError(f"{what}: {list(chosen)} must begin with the identity, {allowed[0]!r}")
