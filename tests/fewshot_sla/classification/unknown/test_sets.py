"""The words for unknown data sets."""

from pathlib import Path

import pytest

from episodes.datasets import MNIST, SVHN, Digits, MiniImageNet, UnlabelledFolder
from episodes.errors import UserError
from fewshot_sla.classification.unknown.sets import unknown_sets
from tests.tiny import TinyClasses

COLOUR = (3, 32, 32)


def test_every_way_to_name_a_data_set(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "list.yaml").write_text(
        "- svhn=/svhn\n- class_path: tests.tiny.TinyClasses\n  init_args: {channels: 2}\n"
    )
    words = [
        "mnist=/m.npz",
        "Mini_ImageNet=/mini",
        str(tmp_path / "mine"),
        "lsun=/l",
        "digits",
        "{class_path: episodes.datasets.CIFAR100, init_args: {root: /c, val_per_class: 3}}",
        "episodes.datasets.CIFAR10=/c10",
        str(tmp_path / "list.yaml"),
    ]
    mnist, mini, mine, lsun, digits, cifar100, cifar10, svhn, tiny = unknown_sets(words, COLOUR)
    assert isinstance(mnist, MNIST)
    assert isinstance(mini, MiniImageNet)
    assert isinstance(digits, Digits)
    assert isinstance(svhn, SVHN)
    assert isinstance(tiny, TinyClasses)
    assert isinstance(lsun, UnlabelledFolder)
    assert isinstance(mine, UnlabelledFolder)
    assert (mine.name, mine.image_size, mine.grey, lsun.name) == ("mine", 32, False, "lsun")
    assert [str(source.root) for source in (mnist, mini, lsun, svhn)] == ["/m.npz", "/mini", "/l", "/svhn"]
    assert (cifar100.val_per_class, str(cifar10.root), tiny.shape[0]) == (3, "/c10", 2)


def test_pictures_are_read_as_the_network_takes_them() -> None:
    (source,) = unknown_sets(["folder=/there"], (1, 8, 16))
    assert isinstance(source, UnlabelledFolder)
    assert (source.grey, source.image_size) == (True, 16)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("minst=/m", "unknown data set 'minst'; did you mean 'mnist'"),
        ("mnist", "say where it is, mnist=FOLDER"),
        ("glyphs=/m", "glyphs needs no files"),
        ("/no/where", "/no/where: there is no such folder"),
        ("episodes.datasets.Glyfs", "did you mean 'Glyphs'"),
        ("no.such.Thing=/m", "--against no.such.Thing"),
        ("torch.nn.Linear", "is not a DataSource"),
        ("{class_path: episodes.datasets.MNIST, init_args: {rot: /m}}", "did you mean 'root'"),
        ("{root: /m}", "give class_path"),
        ("{class_path: ", "not readable as YAML"),
        ("none.yaml", "none.yaml: cannot be read"),
    ],
)
def test_a_mistake_says_what_is_meant(word: str, message: str) -> None:
    with pytest.raises(UserError) as raised:
        unknown_sets([word], COLOUR)
    assert message in str(raised.value)


def test_a_file_is_no_folder_of_pictures_and_a_list_holds_data_sets(tmp_path: Path) -> None:
    (tmp_path / "m.npz").write_bytes(b"")
    with pytest.raises(UserError, match="is a file; say what it is, mnist=FILE"):
        unknown_sets([str(tmp_path / "m.npz")], COLOUR)
    for text, words in (("mnist: /m", "must be a YAML list"), ("- 3", "3 is no data set")):
        (tmp_path / "l.yaml").write_text(text)
        with pytest.raises(UserError, match=words):
            unknown_sets([str(tmp_path / "l.yaml")], COLOUR)


def test_two_data_sets_of_one_name() -> None:
    with pytest.raises(UserError, match="two of the data sets are called 'images'"):
        unknown_sets(["folder=/a/images", "folder=/b/images"], COLOUR)
