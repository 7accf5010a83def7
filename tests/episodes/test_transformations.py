"""Transformations against loops over images and channels, written from their names."""

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from episodes import (
    ColorPermutation,
    Composition,
    Identity,
    Rotation,
    Subset,
    Transformations,
    UserError,
    named_transformations,
)
from episodes.transformations import COLOR_ORDERS, NAMED_SETS

# Lee et al., ICML 2020, table 4: the sets of transformations and how many each has.
TABLE_4 = {
    "identity": 1,
    "rotation2": 2,
    "rotation4": 4,
    "color3": 3,
    "color6": 6,
    "rotation2+color3": 6,
    "rotation4+color3": 12,
    "rotation4+color6": 24,
}


def by_name(image: Tensor, name: str) -> Tensor:
    """What a view's name says, done to one image [3, H, W] with NumPy, channel by channel."""
    pixels = image.numpy()
    for step in name.split("+"):
        if step.startswith("rotate"):
            turns = int(step.removeprefix("rotate")) // 90
            pixels = np.stack([np.rot90(channel, turns) for channel in pixels])
        elif step != "identity":
            channels = dict(zip("RGB", pixels, strict=True))
            pixels = np.stack([channels[letter] for letter in step])
    return torch.from_numpy(pixels.copy())


def an_image(dtype: torch.dtype = torch.uint8, size: int = 6) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    if dtype == torch.uint8:
        return torch.randint(0, 256, (3, size, size), dtype=dtype, generator=generator)
    return torch.randn(3, size, size, dtype=dtype, generator=generator)


@pytest.mark.parametrize(("name", "m"), TABLE_4.items())
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64])
def test_every_view_is_what_its_name_says(name: str, m: int, dtype: torch.dtype) -> None:
    transformations, image = named_transformations(name), an_image(dtype)
    views = transformations(image)
    assert transformations.m == len(transformations.names) == m
    assert views.shape == (m, 3, 6, 6)
    assert views.dtype == dtype
    for view, view_name in zip(views, transformations.names, strict=True):
        assert torch.equal(view, by_name(image, view_name)), view_name


def test_the_named_sets_are_those_of_the_paper() -> None:
    assert {name: named_transformations(name).m for name in NAMED_SETS} == TABLE_4


@pytest.mark.parametrize("name", TABLE_4)
def test_the_identity_comes_first_and_changes_no_bit(name: str) -> None:
    transformations = named_transformations(name)
    assert transformations.names[0] == "identity"
    image = an_image(torch.float32)
    image[0, 0, 0], image[1, 2, 3], image[2, 1, 1] = float("nan"), -0.0, float("inf")
    assert torch.equal(transformations(image)[0].view(torch.int32), image.view(torch.int32))


@pytest.mark.parametrize("name", TABLE_4)
def test_names_and_views_are_all_different(name: str) -> None:
    transformations = named_transformations(name)
    assert len(set(transformations.names)) == transformations.m
    for a, b in itertools.combinations(transformations(an_image()), 2):
        assert not torch.equal(a, b)


@pytest.mark.parametrize("name", TABLE_4)
@pytest.mark.parametrize("leading", [(), (1,), (0,), (2, 3), (2, 1, 2)])
def test_any_leading_axes(name: str, leading: tuple[int, ...]) -> None:
    transformations = named_transformations(name)
    images = torch.randint(0, 256, (*leading, 3, 4, 4), dtype=torch.uint8)
    views = transformations(images)
    assert views.shape == (*leading, transformations.m, 3, 4, 4)
    for place in itertools.product(*map(range, leading)):
        assert torch.equal(views[place], transformations(images[place]))


@pytest.mark.parametrize("name", TABLE_4)
def test_the_images_are_left_alone_and_the_views_can_be_written_to(name: str) -> None:
    images = an_image().unsqueeze(0)
    before = images.clone()
    views = named_transformations(name)(images)
    if name != "identity":  # the one view of the identity is the image's own memory
        views.zero_()
    assert torch.equal(images, before)


def test_rotation_turns_counter_clockwise() -> None:
    image = torch.tensor([[[1, 2], [3, 4]]])
    assert Rotation()(image).flatten(1).tolist() == [[1, 2, 3, 4], [2, 4, 1, 3], [4, 3, 2, 1], [3, 1, 4, 2]]


def test_rotation_takes_a_grey_image_and_half_turns_any_rectangle() -> None:
    assert Rotation()(torch.zeros(1, 8, 8)).shape == (4, 1, 8, 8)
    image = torch.arange(12).reshape(1, 3, 4)
    assert torch.equal(Rotation((0, 180))(image)[1], image.flip(1, 2))


def test_color_order_names_the_old_channel_of_each_new_one() -> None:
    red, green, blue = 10, 20, 30
    image = torch.tensor([red, green, blue]).reshape(3, 1, 1)
    views = ColorPermutation()(image).flatten(1).tolist()
    assert dict(zip(ColorPermutation().orders, views, strict=True)) == {
        "RGB": [red, green, blue],
        "GBR": [green, blue, red],
        "BRG": [blue, red, green],
        "GRB": [green, red, blue],
        "RBG": [red, blue, green],
        "BGR": [blue, green, red],
    }


def test_the_three_cyclic_orders_move_every_channel() -> None:
    assert named_transformations("color3").names == ("identity", "GBR", "BRG")
    assert set(COLOR_ORDERS) == {"".join(order) for order in itertools.permutations("RGB")}


def test_the_second_set_of_a_composition_varies_fastest_and_is_applied_last() -> None:
    class Overwrite(Transformations):
        """Does not commute with anything: the order of application shows."""

        names = ("identity", "mark")

        def forward(self, images: Tensor) -> Tensor:
            marked = images.clone()
            marked[..., 0, 0] = 99  # top left pixel
            return torch.stack([images, marked], dim=-4)

    image = an_image()
    composition = Composition(Rotation((0, 90)), Overwrite())
    assert composition.names == ("identity", "mark", "rotate90", "rotate90+mark")
    views = composition(image)
    assert torch.equal(views[2], torch.rot90(image, 1, (1, 2)))
    assert views[3, :, 0, 0].tolist() == [99, 99, 99]  # marked after it was turned
    assert Composition(Overwrite(), Rotation((0, 90)))(image)[3, :, -1, 0].tolist() == [99, 99, 99]  # marked, turned


def test_three_sets_compose() -> None:
    halves, quarter = Rotation((0, 180)), Rotation((0, 90))
    both = Composition(Composition(halves, ColorPermutation(("RGB", "BGR"))), quarter)
    assert both.m == 8
    for view, name in zip(both(an_image()), both.names, strict=True):
        assert torch.equal(view, by_name(an_image(), name))


def test_a_composition_with_the_identity_is_the_other_set() -> None:
    for composition in (Composition(Identity(), Rotation()), Composition(Rotation(), Identity())):
        assert composition.names == Rotation().names
        assert torch.equal(composition(an_image()), Rotation()(an_image()))


def test_a_composition_that_does_the_same_twice_is_refused() -> None:
    """Two joint labels for one and the same image could not be told apart."""
    with pytest.raises(UserError, match="'rotate90' occurs twice"):
        Composition(Rotation(), Rotation())


def test_a_subset_has_the_chosen_views_in_the_chosen_order() -> None:
    names = ["identity", "rotate270+BGR", "rotate90"]
    subset = Subset(named_transformations("rotation4+color6"), names)
    assert subset.m == 3
    assert subset.names == tuple(names)
    for view, name in zip(subset(an_image()), names, strict=True):
        assert torch.equal(view, by_name(an_image(), name))
    turns = Rotation((0, 270, 180))
    assert torch.equal(Subset(Rotation(), turns.names)(an_image()), turns(an_image()))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Rotation((0, 45)), "degrees: 45 is not one of 0, 90, 180, 270"),
        (lambda: Rotation((0, -90)), "degrees: -90"),
        (lambda: Rotation((0, 90, 90)), r"degrees: \[0, 90, 90\] names one of them twice"),
        (lambda: Rotation((90, 0)), r"degrees: \[90, 0\] must begin with the identity, 0"),
        (lambda: Rotation(()), "degrees: .* must begin with the identity"),
        (lambda: ColorPermutation(("RGB", "RGG")), "orders: 'RGG' is not one of RGB"),
        (lambda: ColorPermutation(("RGB", "bgr")), "orders: 'bgr'"),
        (lambda: ColorPermutation(("RGB", "BGR", "BGR")), "twice"),
        (lambda: ColorPermutation(("BGR", "RGB")), "must begin with the identity, 'RGB'"),
        (lambda: Subset(Rotation(), ["identity", "rotate45"]), "names: 'rotate45' is not one of identity, rotate90"),
        (lambda: Subset(Rotation(), ["rotate90"]), "must begin with the identity"),
        (lambda: Subset(Rotation(), ["identity", "identity"]), "twice"),
        (lambda: named_transformations("rotation5"), "'rotation5'; there are identity, rotation2, rotation4"),
    ],
)
def test_impossible_sets_are_named(make, message: str) -> None:
    with pytest.raises(UserError, match=message):
        make()


QUARTER = "rotation by 90 degrees needs square images, these are 4x6"
CHANNELS = "colour permutation needs images with 3 channels, these have"


@pytest.mark.parametrize(
    ("transformations", "shape", "message"),
    [
        (Rotation(), (3, 4, 6), QUARTER),
        (Composition(Rotation(), ColorPermutation()), (3, 4, 6), QUARTER),
        (Composition(ColorPermutation(), Rotation()), (3, 4, 6), QUARTER),
        (Subset(Rotation(), ["identity", "rotate90"]), (3, 4, 6), QUARTER),
        (ColorPermutation(), (1, 4, 4), f"{CHANNELS} 1"),
        (ColorPermutation(), (4, 4, 4), f"{CHANNELS} 4"),
        (Composition(Rotation(), ColorPermutation()), (1, 4, 4), f"{CHANNELS} 1"),
        (Subset(ColorPermutation(), ["identity", "BGR"]), (1, 4, 4), f"{CHANNELS} 1"),
    ],
)
def test_impossible_images_are_named_before_and_when_they_come(transformations, shape, message: str) -> None:
    with pytest.raises(UserError, match=message):
        transformations.check(*shape)
    with pytest.raises(UserError, match=message):
        transformations(torch.zeros(2, *shape))
    transformations.check(3, 4, 4)  # and the possible ones are taken


def test_repr_says_what_is_in_it() -> None:
    assert repr(Rotation((0, 180))) == "Rotation(identity, rotate180)"


class Copies(TorchDispatchMode):
    """Counts what is copied from one device to another."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func is torch.ops.aten._to_copy.default
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    "transformations", [ColorPermutation(), Subset(Rotation(), ["identity", "rotate180"])], ids=["colours", "subset"]
)
def test_what_picks_views_is_copied_to_a_device_once(transformations: Transformations) -> None:
    images = torch.empty(2, 3, 4, 4, device="meta")
    with Copies() as copies:
        for _ in range(3):
            assert transformations(images).device == images.device
    assert copies.count == 1
