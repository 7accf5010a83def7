"""Pictures in every guise: the same bytes come out, and what is no picture is said to be none."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps
from scipy import sparse

from episodes.errors import UserError
from episodes.images.reading import BrokenImageError, read_image
from fewshot_sla.prediction.pictures import Format, exchange, is_negative, make_picture, make_pictures

RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, (12, 12, 3), np.uint8)
GREY = RNG.integers(0, 256, (12, 12), np.uint8)


def guises(pixels: np.ndarray, folder: Path) -> dict[str, object]:
    """One picture in all the ways it may be given."""
    image = Image.fromarray(pixels)
    image.save(folder / "it.png")
    channels_first = np.moveaxis(pixels, -1, 0) if pixels.ndim == 3 else pixels
    return {
        "path": folder / "it.png",
        "text": str(folder / "it.png"),
        "bytes": (folder / "it.png").read_bytes(),
        "image": image,
        "array": pixels,
        "integers": pixels.astype(np.int64),
        "floats": pixels / 255,
        "half": (pixels / 255).astype(np.float32),
        "tensor": torch.tensor(channels_first),
        "float tensor": torch.tensor(channels_first) / 255,
        "slice that is not contiguous": np.repeat(pixels, 2, axis=0)[::2],
    }


@pytest.mark.parametrize("pixels", [COLOUR, GREY], ids=["colour", "grey"])
@pytest.mark.parametrize("wanted", [Format(1, 12, 12), Format(3, 12, 12), Format(3, 7, 7), Format(1, 20, 20)])
def test_every_guise_gives_what_the_file_gives(pixels: np.ndarray, wanted: Format, tmp_path: Path) -> None:
    given = guises(pixels, tmp_path)
    expected = read_image(tmp_path / "it.png", wanted.height, wanted.mode)
    for name, picture in given.items():
        made = make_picture(picture, wanted, name)
        assert made.dtype == np.uint8
        assert np.array_equal(made, expected), name


def test_pictures_of_the_right_size_keep_their_pixels() -> None:
    assert np.array_equal(make_picture(COLOUR, Format(3, 12, 12)), COLOUR.transpose(2, 0, 1))
    assert np.array_equal(make_picture(GREY > 127, Format(1, 12, 12))[0], np.where(GREY > 127, 255, 0))


@pytest.mark.parametrize("framing", ["crop", "stretch"])
@pytest.mark.parametrize("as_file", [True, False], ids=["file", "array"])
def test_oblong_models_get_oblong_pictures(framing, as_file: bool, tmp_path: Path) -> None:
    pixels = RNG.integers(0, 256, (30, 20, 3), np.uint8)
    image = Image.fromarray(pixels)
    image.save(tmp_path / "it.png")
    made = make_picture(tmp_path / "it.png" if as_file else pixels, Format(3, 10, 16, framing))
    bilinear = Image.Resampling.BILINEAR
    oracle = ImageOps.fit(image, (16, 10), bilinear) if framing == "crop" else image.resize((16, 10), bilinear)
    assert np.array_equal(made, np.asarray(oracle).transpose(2, 0, 1))


def test_transparent_and_turned_and_deep_images_are_read_as_from_files(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    Image.fromarray(RNG.integers(0, 256, (9, 14, 3), np.uint8)).save(tmp_path / "turned.png", exif=exif)
    Image.fromarray(RNG.integers(0, 256, (9, 14, 4), np.uint8)).save(tmp_path / "clear.png")
    Image.fromarray(RNG.integers(0, 65536, (9, 14), np.uint16)).save(tmp_path / "deep.png")
    for name in ("turned", "clear", "deep"):
        expected = read_image(tmp_path / f"{name}.png", 6)
        with Image.open(tmp_path / f"{name}.png") as image:
            assert np.array_equal(make_picture(image, Format(3, 6, 6)), expected), name


def test_stacks_are_lists_of_pictures() -> None:
    stack = RNG.integers(0, 256, (4, 8, 8, 3), np.uint8)
    expected = np.stack([make_picture(picture, Format(3, 8, 8)) for picture in stack])
    wanted = Format(3, 8, 8)
    assert np.array_equal(make_pictures(stack, wanted), expected)
    assert np.array_equal(make_pictures(stack / 255, wanted), expected)
    assert np.array_equal(make_pictures(torch.tensor(stack).permute(0, 3, 1, 2), wanted), expected)
    assert np.array_equal(make_pictures(list(stack), wanted), expected)
    assert np.array_equal(make_pictures(tuple(Image.fromarray(picture) for picture in stack), wanted), expected)
    grey = Format(1, 8, 8)
    assert np.array_equal(make_pictures(stack[..., 0], grey), make_pictures(torch.tensor(stack[..., 0]), grey))


def test_arrays_of_paths_and_of_images_are_lists(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.png" for number in range(3)]
    for number, path in enumerate(paths):
        Image.fromarray(COLOUR + np.uint8(number)).save(path)
    wanted = Format(3, 12, 12)
    expected = make_pictures(paths, wanted)
    assert np.array_equal(make_pictures(np.array([str(path) for path in paths]), wanted), expected)
    images = np.empty(3, object)
    images[:] = [Image.open(path) for path in paths]
    assert np.array_equal(make_pictures(images, wanted), expected)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("one.png", "give a list of pictures, not a single one ('one.png')"),
        (7, "a int is no list of pictures"),
        ([], "there is no picture: 0 samples were given, at least 1 is needed"),
        (
            np.zeros((5, 64)),
            "an array of shape [5, 64] is no stack of pictures (rows of features are none): "
            "reshape it to [n, H, W] or [n, H, W, C]",
        ),
        (
            sparse.csr_array(np.eye(3)),
            "a sparse matrix holds no pictures; give a list of pictures, or an array [n, H, W, C]",
        ),
        ([3.0], "picture 0: a float is no picture; give a path, PIL image, array or tensor"),
        ([GREY, GREY * 1j], "picture 1: pixels of type complex128; they must be bytes, or floats between 0 and 1"),
        ([np.array([[0.0, 255.0]])], "picture 0: pixels from 0 to 255; floats must be finite and between 0 and 1"),
        ([np.zeros((2, 2, 2, 3))], "picture 0: an array of shape [2, 2, 2, 3] is no picture"),
        ([GREY.astype(int) - 300], "integers must be finite and between 0 and 255"),
        ([np.full((4, 4), np.nan)], "picture 0: pixels from nan to nan; floats must be finite and between 0 and 1"),
        ([np.zeros((4, 4, 5))], "picture 0: an array of shape [4, 4, 5] is no picture; arrays are [H, W] or [H, W, C]"),
        ([np.zeros((0, 4))], "picture 0: an array of shape [0, 4, 1] is no picture"),
        ([b"not a file"], "picture 0: not an image that Pillow can read"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else type(value).__name__,
)
def test_what_is_no_picture(given: object, message: str) -> None:
    with pytest.raises(UserError) as error:
        make_pictures(given, Format(1, 12, 12))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BrokenImageError, match=r"gone\.png: No such file or directory"):
        make_picture(tmp_path / "gone.png", Format(1, 12, 12))


@given(st.integers(0, 255), st.integers(0, 255), st.floats(0, 1))
def test_exchanging_is_its_own_inverse_and_polarity_is_symmetric(paper: int, ink: int, mean: float) -> None:
    pictures = np.full((2, 1, 6, 6), paper, np.uint8)
    pictures[..., 2:4, 2:4] = ink
    negative = is_negative(pictures, torch.tensor([mean]))
    clear = min(abs(paper / 255 - 0.5), abs(mean - 0.5)) >= 0.2
    assert negative == (clear and (paper > 127) != (mean > 0.5))
    twice = pictures.copy()
    exchange(twice)
    assert np.array_equal(twice, 255 - pictures)
    if negative:
        assert not is_negative(twice, torch.tensor([mean]))
    exchange(twice)
    assert np.array_equal(twice, pictures)


def test_colour_is_never_taken_for_a_negative() -> None:
    white = np.full((2, 3, 6, 6), 255, np.uint8)
    assert not is_negative(white, torch.tensor([0.1, 0.1, 0.1]))
    assert is_negative(white[:, :1], torch.tensor([0.1]))
