"""What every data set is checked for, whatever it reads."""

import pytest

from episodes.datasets import Omniglot
from episodes.datasets.base import check_transformations
from episodes.errors import UserError
from episodes.transformations import ColorPermutation, Composition, Identity, Rotation, Transformations
from tests.tiny import TinyImages


@pytest.mark.parametrize(
    ("transformations", "name"),
    [
        (Rotation(), "rotate90"),
        (Rotation((0, 180)), "rotate180"),
        (Composition(ColorPermutation(("RGB", "BGR")), Rotation((0, 270))), "rotate270"),
        (Composition(Rotation((0, 270)), ColorPermutation(("RGB", "BGR"))), "rotate270"),
    ],
)
def test_a_transformation_that_makes_another_class_is_refused(transformations: Transformations, name: str) -> None:
    with pytest.raises(UserError) as caught:
        check_transformations(Omniglot("nowhere", rotations_as_classes=True), transformations)
    assert str(caught.value) == (
        f"omniglot: an image changed by {name} is an image of another class of this data set, so label augmentation by "
        f"{name} would give equal images two labels; turn off the option that makes these classes, or choose "
        "transformations without it"
    )


def test_a_part_of_a_composition_is_found() -> None:
    source = TinyImages()
    source.classes_under = ("BGR",)
    only_composed = Composition(Rotation((0, 90)), ColorPermutation(("RGB", "BGR")))
    only_composed.names = ("identity", "rotate90+BGR")
    with pytest.raises(UserError, match=r"changed by BGR .* label augmentation by rotate90\+BGR would"):
        check_transformations(source, only_composed)


@pytest.mark.parametrize(
    ("source", "transformations"),
    [
        (Omniglot("nowhere"), Rotation()),
        (Omniglot("nowhere", rotations_as_classes=True), Identity()),
        (Omniglot("nowhere", rotations_as_classes=True), ColorPermutation()),
        (TinyImages(), Composition(Rotation(), ColorPermutation())),
    ],
)
def test_all_others_are_fine(source: Omniglot | TinyImages, transformations: Transformations) -> None:
    check_transformations(source, transformations)
