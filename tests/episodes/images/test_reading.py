"""Image files: every mode and size that people have becomes uint8 [C, H, W], or an error that names the file."""

import io
import os
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from episodes.errors import UserError
from episodes.images import reading as image_files
from episodes.images.reading import BrokenImageError, list_class_folders, list_folder, read_image, read_images

RANDOM = np.random.default_rng(0).integers(0, 256, (24, 36, 3), dtype=np.uint8)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def test_pixels_arrive_unchanged_channels_first(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(RANDOM).save(path)
    for source in (path, str(path), path.read_bytes()):
        image = read_image(source)
        assert image.shape == (3, 24, 36)
        assert image.flags.c_contiguous
        assert np.array_equal(image, RANDOM.transpose(2, 0, 1))


def test_an_image_of_the_right_size_keeps_its_pixels() -> None:
    square = RANDOM[:, :24]
    for fit in ("crop", "stretch"):
        assert np.array_equal(read_image(encoded(Image.fromarray(square)), 24, fit=fit), square.transpose(2, 0, 1))


def test_crop_takes_the_middle_square() -> None:
    pixels = np.zeros((20, 60, 3), np.uint8)
    pixels[:, 18:42] = 255  # antialiasing looks a pixel or two beyond the square
    assert (read_image(encoded(Image.fromarray(pixels)), 10) == 255).all()
    assert (read_image(encoded(Image.fromarray(pixels.transpose(1, 0, 2))), 10) == 255).all()
    assert read_image(encoded(Image.fromarray(pixels)), 30, fit="stretch").mean() == pytest.approx(102, abs=2)


def test_crop_is_the_shorter_side_resized_and_the_centre_cut_out() -> None:
    image = Image.fromarray(np.random.default_rng(1).integers(0, 256, (24, 48, 3), dtype=np.uint8))
    expected = np.asarray(image.resize((20, 10), Image.Resampling.BILINEAR))[:, 5:15]
    assert np.array_equal(read_image(encoded(image), 10), expected.transpose(2, 0, 1))


@pytest.mark.parametrize("shape", [(1, 1), (1, 4000), (4000, 1), (3, 2)])
def test_odd_shapes(shape: tuple[int, int]) -> None:
    assert read_image(encoded(Image.new("RGB", shape, "red")), 12).shape == (3, 12, 12)


@pytest.mark.parametrize("image_mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "I"])
@pytest.mark.parametrize(("mode", "channels"), [("RGB", 3), ("L", 1)])
def test_every_kind_of_pixel(image_mode: str, mode: image_files.Mode, channels: int) -> None:
    if image_mode.startswith("I"):
        image = Image.fromarray(np.full((8, 8), 0x80FF, np.uint16 if image_mode == "I;16" else np.int32))
        grey = 128
    else:
        image = Image.new("L", (8, 8), 128)
        image = image if image_mode == "L" else image.convert(image_mode)
        grey = 128 if image_mode != "1" else None
    pixels = read_image(encoded(image, "TIFF" if image_mode == "I" else "PNG"), 8, mode)
    assert pixels.shape == (channels, 8, 8)
    if grey is not None:
        assert (pixels == grey).all()


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000"])
def test_formats(kind: str) -> None:
    assert abs(read_image(encoded(Image.new("RGB", (8, 8), (200, 100, 0)), kind))[0].astype(int) - 200).max() < 8


def test_cmyk() -> None:
    pixels = read_image(encoded(Image.new("CMYK", (8, 8), (0, 0, 0, 0)), "JPEG"))
    assert (pixels == 255).all()


def test_transparent_parts_become_white() -> None:
    image = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    assert (read_image(encoded(image)) == 255).all()
    palette = Image.new("P", (4, 4), 0)
    palette.putpalette([0, 0, 0, 9, 9, 9])
    assert (read_image(encoded(palette, transparency=0)) == 255).all()
    assert (read_image(encoded(palette)) == 0).all()


def test_exif_orientation_turns_the_image_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright: turn by 90 degrees clockwise
    left_red = np.zeros((16, 32, 3), np.uint8)
    left_red[:, :16, 0] = 255
    upright = read_image(encoded(Image.fromarray(left_red), "PNG", exif=exif))
    assert upright.shape == (3, 32, 16)
    assert (upright[0, :16] == 255).all()
    assert (upright[0, 16:] == 0).all()


def test_large_jpegs_are_decoded_smaller_and_look_the_same() -> None:
    smooth = np.linspace(0, 255, 1600).astype(np.uint8)
    picture = Image.fromarray(np.broadcast_to(smooth[:, None], (1600, 1600)).copy())
    exact = np.asarray(picture.resize((20, 20), Image.Resampling.BILINEAR)).astype(int)
    assert abs(read_image(encoded(picture, "JPEG", quality=95), 20, "L")[0] - exact).max() <= 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an image"),
        (b"<html>quota exceeded</html>", "not an image"),
        (encoded(Image.fromarray(RANDOM))[:300], "truncated|broken|incomplete|Truncated"),
        (encoded(Image.fromarray(RANDOM), "JPEG")[:-300], "truncated"),
        (encoded(Image.fromarray(RANDOM.astype(np.float32)[..., 0]), "TIFF"), "floating-point"),
    ],
)
def test_broken_files_are_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "bröken.png"
    path.write_bytes(content)
    with pytest.raises(BrokenImageError, match=rf"(?s)bröken\.png: .*({message})") as caught:
        read_image(path)
    assert "\n" not in str(caught.value)
    assert str(caught.value).count("bröken.png") == 1
    with pytest.raises(BrokenImageError, match=r"^row 7: "):
        read_image(content, name="row 7")


@pytest.mark.filterwarnings("ignore:.*:UserWarning:PIL")
def test_any_cut_of_a_file_is_read_or_named() -> None:
    for kind in ("PNG", "GIF", "TIFF", "BMP", "WEBP", "JPEG2000"):
        whole = encoded(Image.fromarray(RANDOM), kind)
        for length in range(0, len(whole), max(1, len(whole) // 60)):
            with suppress(BrokenImageError):
                assert read_image(whole[:length], 8).shape == (3, 8, 8)


def test_decompression_bombs_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_files, "MOST_PIXELS", 100)
    with pytest.raises(BrokenImageError, match="36 x 24 pixels are too many"):
        read_image(encoded(Image.fromarray(RANDOM)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(BrokenImageError, match="exceeds limit"):
        read_image(encoded(Image.fromarray(RANDOM)))


def test_read_images_leaves_broken_ones_out(tmp_path: Path) -> None:
    for name in ("a.png", "c.png"):
        Image.fromarray(RANDOM).save(tmp_path / name)
    (tmp_path / "b.png").write_bytes(b"no")
    paths = [tmp_path / name for name in ("a.png", "b.png", "c.png", "gone.png")]
    images, broken = read_images(paths, 8)
    assert images.shape == (2, 3, 8, 8)
    assert ["b.png" in str(broken[0]), "gone.png: No such file" in str(broken[1]), len(broken)] == [True, True, 2]
    assert read_images(paths[1:2], 8, "L")[0].shape == (0, 1, 8, 8)


def test_read_images_refuses_two_sizes_if_none_is_given(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    Image.new("RGB", (9, 8)).save(tmp_path / "b.png")
    with pytest.raises(BrokenImageError, match=r"b\.png: its size is \(8, 9\), that of .*a\.png \(8, 8\)"):
        read_images([tmp_path / "a.png", tmp_path / "b.png"])


def test_list_folder(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.png", "ü.webp", ".hidden.png", "notes.txt", "Thumbs.db", "photo.heic"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "circle.png").symlink_to(tmp_path / "circle.png")
    images, others = list_folder(tmp_path)
    assert [path.name for path in images] == ["a.png", "b.JPG", "circle.png", "ü.webp"]
    assert [path.name for path in others] == ["notes.txt", "photo.heic"]
    with pytest.raises(BrokenImageError, match=r"circle\.png"):
        read_image(images[2])


def test_list_class_folders(tmp_path: Path) -> None:
    for name in ("zebra", "a\u0308pfel", ".git", "Ärger"):
        (tmp_path / name).mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "linked").symlink_to(tmp_path / "zebra")
    assert list(list_class_folders(tmp_path)) == ["linked", "zebra", "Ärger", "äpfel"]
    (tmp_path / "äpfel").mkdir()
    with pytest.raises(UserError, match="two folders are called 'äpfel'"):
        list_class_folders(tmp_path)


def test_folder_names_that_are_no_text(tmp_path: Path) -> None:
    try:
        os.mkdir(os.fsencode(tmp_path) + b"/caf\xe9")
    except OSError:
        pytest.skip("this file system takes valid names only")
    with pytest.raises(UserError, match="not valid UTF-8"):
        list_class_folders(tmp_path)


def test_a_folder_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot read the folder .*gone"):
        list_folder(tmp_path / "gone")
