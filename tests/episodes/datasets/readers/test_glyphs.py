import os
import subprocess
import sys
import unicodedata

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import normalize

from episodes.datasets import Glyphs
from episodes.datasets.glyphs import letters as glyph_letters
from episodes.datasets.glyphs.rendering import DEJAVU_FONTS, FONTS, ink, load_fonts, plain
from episodes.datasets.readers import glyphs
from episodes.errors import UserError

SPLITS = ("train", "val", "test")
TINY = {
    f"{split}_{what}": array
    for split in SPLITS
    for what, array in {
        "images": np.zeros((2 * 24, 28, 28), dtype=np.uint8),
        "class_names": np.array(["Latin/capital letter a", "Armenian/small letter ayb"]),
    }.items()
}


@pytest.fixture(scope="session")
def folder():
    """The cache of all tests: other modules open these letters too, and drawing them takes seconds."""
    Glyphs().open("train")
    return Glyphs().cache_file().parent


@pytest.fixture(scope="session")
def splits(folder):
    return {split: Glyphs(cache_dir=str(folder)).open(split) for split in SPLITS}


@pytest.fixture(scope="session")
def fonts():
    return load_fonts()


@pytest.fixture(scope="session")
def measured(fonts):
    """All letters that could become classes, and how alike they look."""
    candidates = glyph_letters.simple_letters()
    return candidates, glyph_letters.likeness(glyph_letters.plain_pictures(candidates, fonts))


@pytest.fixture(scope="session")
def letters(splits):
    """Every class as a character."""
    return {
        split: [unicodedata.lookup(name.replace("/", " ").upper()) for name in images.class_names]
        for split, images in splits.items()
    }


@pytest.fixture
def tiny(monkeypatch):
    """Glyphs that are built in no time; returns how often they were."""
    calls = []
    monkeypatch.setattr(glyphs, "build", lambda *given: calls.append(given) or TINY)
    return calls


@pytest.mark.parametrize(("split", "classes"), [("train", 312), ("val", 41), ("test", 54)])
def test_counts(splits, split, classes):
    images = splits[split]
    assert images.name == f"glyphs/{split}"
    assert len(set(images.class_names)) == len(images.class_names) == classes
    assert images.image_shape == (1, 28, 28)
    assert images.class_counts.tolist() == [24] * classes
    assert images.labels.tolist() == sorted(images.labels.tolist())


def test_ink_is_light_on_dark_and_every_letter_is_whole(splits):
    for images in splits.values():
        pixels = images.images.float()
        assert pixels.amax(dim=(1, 2, 3)).min() > 150
        assert 15 < pixels.mean() < 60
        border = torch.cat([pixels[..., [0, -1], :].flatten(1), pixels[..., [0, -1]].flatten(1)], dim=1)
        assert border.max() < 50, "letters are cut off at the edge"


def test_whole_alphabets_are_held_apart(splits):
    alphabets = {split: {name.split("/")[0] for name in images.class_names} for split, images in splits.items()}
    assert alphabets == {"train": {"Latin", "Greek", "Cyrillic"}, "val": {"Georgian"}, "test": {"Armenian"}}


def test_every_letter_shows_all_its_fonts(splits):
    by_name = {letter.class_name: letter for letter in glyph_letters.simple_letters()}
    for images in splits.values():
        for name in images.class_names:
            used = by_name[name].fonts
            assert set(DEJAVU_FONTS) <= set(used) <= set(FONTS)
            assert len(used) <= 16 <= 24  # image i is drawn in font i modulo their number


def test_no_letter_is_composed(letters):
    for character in "".join(map("".join, letters.values())):
        assert unicodedata.normalize("NFKD", character) == character
        assert "LIGATURE" not in unicodedata.name(character)


def test_no_look_alikes_by_nearest_neighbours_between_fonts(letters, fonts):
    """Stretched to a square, a letter's nearest neighbour in the other fonts is rarely always the same other letter.

    Two classes that are one letter take half of each other's neighbours; Greek Alpha shows that the measure sees it.
    """
    drawn = ["\N{GREEK CAPITAL LETTER ALPHA}", *letters["train"], *letters["val"], *letters["test"]]
    squares = [
        [ink(letter, fonts[font]).resize((16, 16), Image.Resampling.BOX) for font in DEJAVU_FONTS] for letter in drawn
    ]
    pixels = torch.tensor(np.array([[np.asarray(square) for square in row] for row in squares])).float().flatten(2)
    pixels = normalize(pixels - pixels.mean(dim=2, keepdim=True), dim=2)
    products = torch.einsum("afp,bgp->afbg", pixels, pixels)
    fonts_apart = torch.eye(12, dtype=torch.bool)[None, :, None, :]
    n = len(drawn)
    nearest = products.masked_fill(fonts_apart, -2).view(n, 12, -1).argmax(dim=2).flatten() // 12
    confused = torch.zeros(n, n)
    confused.index_put_((torch.arange(n).repeat_interleave(12), nearest), torch.tensor(1 / 12), accumulate=True)
    confused = ((confused + confused.T) / 2).fill_diagonal_(0)
    assert drawn[1] == "A"
    assert confused[0, 1] > 0.4
    assert confused[1:, 1:].max() < 0.4


def test_well_known_look_alikes_occur_once(letters):
    train = "".join(letters["train"])
    for same in ("AΑА", "BΒВʙ", "OoΟοОоօ", "CcСс", "EΕЕ", "XxΧХх", "PΡРр", "SsЅѕ", "ZzΖ", "Vvѵ", "Mм", "Hʜ", "Kк"):
        assert sum(letter in train for letter in same) == 1, same
    for same in ("nո", "uս", "hհ", "gց", "qզ", "Uս"):  # the second would be no unseen letter
        assert not set(same) & set("".join(letters["val"] + letters["test"])), same


def test_letters_that_differ_are_all_there(letters):
    train = "".join(letters["train"])
    assert set("ABCDEFGHIJKLMNOPQRSTUVWXYZ" + "abdefghkmnpqrtuy" + "ΔΠΩλψ" + "ДЖИЦЮЯ") <= set(train)


@pytest.mark.parametrize("pair", ["un", "dp", "bq", "aɐ", "rɹ", "hɥ", "tʇ", "yʎ", "CƆ", "AⱯ"])
def test_letters_turned_upside_down_are_kept(letters, fonts, pair):
    assert set(pair) <= set(letters["train"])
    first, second = (plain(ink(letter, fonts["DejaVuSans"])).astype(float) for letter in pair)
    turned = np.corrcoef(np.rot90(first, 2).ravel(), second.ravel())[0, 1]
    assert turned > 0.85 > np.corrcoef(first.ravel(), second.ravel())[0, 1]


@pytest.mark.slow
def test_the_first_of_each_kind_is_kept(measured, splits):
    candidates, likeness = measured
    alike = likeness > glyph_letters.LIKENESS_LIMIT
    names = [name for images in splits.values() for name in images.class_names]
    kept = [i for i, letter in enumerate(candidates) if letter.class_name in set(names)]
    assert [candidates[i].class_name for i in kept] == names
    assert alike[np.ix_(kept, kept)].sum() == len(kept), "two that are alike were kept"
    for i in set(range(len(candidates))) - set(kept):
        assert alike[i, [j for j in kept if j < i]].any(), f"{candidates[i].class_name} was dropped for nothing"


@pytest.mark.slow
def test_the_limit_lies_in_a_gap(measured):
    """So that another FreeType, which moves the measure a little, does not change the classes."""
    assert np.abs(measured[1] - glyph_letters.LIKENESS_LIMIT).min() > 2e-4


@pytest.mark.slow
def test_another_process_and_folder_give_the_same_bytes_and_a_picture(splits, tmp_path):
    environment = {**os.environ, "FEWSHOT_SLA_CACHE": str(tmp_path / "cache"), "PYTHONHASHSEED": "1"}
    command = [sys.executable, "-W", "error", "-m", "episodes.datasets.glyphs.sheet", str(tmp_path / "sheet.png")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")
    for split, images in splits.items():
        again = Glyphs(cache_dir=str(tmp_path / "cache")).open(split)
        assert torch.equal(again.images, images.images)
        assert again.fingerprint == images.fingerprint
    assert len(os.listdir(tmp_path / "cache")) == 1


def test_an_image_depends_on_seed_letter_and_number_alone(splits, fonts):
    images = splits["test"]
    letter = next(letter for letter in glyph_letters.simple_letters() if letter.class_name == images.class_names[7])
    few, many = (glyphs.draw_letter(letter, fonts, seed=0, count=count) for count in (16, 40))
    assert np.array_equal(few, many[:16])
    assert np.array_equal(many[:24], images.images[7 * 24 : 8 * 24, 0].numpy())
    assert not np.array_equal(few, glyphs.draw_letter(letter, fonts, seed=1, count=16))


def test_a_full_cache_is_read_and_nothing_is_drawn(folder, splits, monkeypatch):
    def never(*_):
        raise AssertionError("drawn although it is in the cache")

    monkeypatch.setattr(glyphs, "build", never)
    assert Glyphs(cache_dir=str(folder)).open("val").fingerprint == splits["val"].fingerprint


def test_the_cache_is_where_the_environment_says(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("FEWSHOT_SLA_CACHE", str(tmp_path))
    assert Glyphs().cache_file().parent == tmp_path
    Glyphs().open("val")
    assert Glyphs().cache_file().is_file()


@pytest.mark.parametrize("change", ["seed", "images", "recipe", "library"])
def test_whatever_changes_a_pixel_changes_the_file(tmp_path, monkeypatch, change):
    usual = Glyphs(str(tmp_path)).cache_file()
    if change == "recipe":
        monkeypatch.setattr(glyphs, "RECIPE", -1)
    if change == "library":
        monkeypatch.setattr(glyphs, "version", lambda package: f"{package} from the future")
    arguments = {"seed": {"seed": 1}, "images": {"images_per_class": 30}}.get(change, {})
    assert Glyphs(str(tmp_path), **arguments).cache_file() != usual


def damage_truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def damage_flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 8] ^= 0xFF
    path.write_bytes(content)


def damage_empty(path):
    path.write_bytes(b"")


def damage_garbage(path):
    path.write_bytes(b"not a zip file at all" * 100)


def damage_other_arrays(path):
    with open(path, "wb") as file:
        np.savez(file, something=np.zeros(3))


def damage_fewer_images(path):
    with open(path, "wb") as file:
        np.savez(file, **{name: array[:20] for name, array in TINY.items()})


DAMAGES = [damage_truncate, damage_flip, damage_empty, damage_garbage, damage_other_arrays, damage_fewer_images]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_made_anew(tiny, tmp_path, caplog, damage):
    random = np.random.default_rng(0).integers(0, 255, (48, 28, 28), dtype=np.uint8)
    source = Glyphs(str(tmp_path))
    with open(source.cache_file(), "wb") as file:
        np.savez_compressed(file, **{**TINY, "train_images": random})
    Glyphs(str(tmp_path)).open("train")
    assert not tiny
    damage(source.cache_file())
    assert Glyphs(str(tmp_path)).open("train").images.sum() == 0
    assert len(tiny) == 1
    assert "drawing the letters anew" in caplog.text
    assert Glyphs(str(tmp_path)).open("train").images.sum() == 0
    assert len(tiny) == 1


def test_a_crash_while_writing_leaves_nothing(tiny, tmp_path, monkeypatch):
    def crash(file, **_):
        file.write(b"PK half of it")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez_compressed", crash)
    with pytest.raises(KeyboardInterrupt):
        Glyphs(str(tmp_path)).open("train")
    assert os.listdir(tmp_path) == []


def test_a_folder_that_cannot_be_written_to_is_said_and_survived(tiny, tmp_path, caplog):
    (tmp_path / "file").touch()
    source = Glyphs(str(tmp_path / "file" / "below"))
    for split in SPLITS:
        assert len(source.open(split)) == 48
    assert len(tiny) == 1
    assert len(caplog.records) == 1
    assert "cannot keep the images in the cache" in caplog.text


def test_bad_arguments_are_told_in_one_line(tmp_path):
    with pytest.raises(UserError, match="no split 'validation'; the splits are train, val, test"):
        Glyphs(str(tmp_path)).open("validation")
    with pytest.raises(UserError, match="seed must be 0 or more, not -1"):
        Glyphs(seed=-1)
    with pytest.raises(UserError, match="16 or more, one a font, not 15"):
        Glyphs(images_per_class=15)


def test_a_missing_font_is_told_with_a_remedy(tmp_path, monkeypatch):
    monkeypatch.setattr("matplotlib.get_data_path", lambda: str(tmp_path))
    with pytest.raises(UserError, match=r"DejaVuSans\.ttf is missing; reinstall matplotlib"):
        load_fonts()


def test_the_import_is_light():
    code = "import sys, episodes.datasets; print({'PIL', 'matplotlib', 'fontTools'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
