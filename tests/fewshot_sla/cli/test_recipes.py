"""Words of recipes: where their parts come from, in which order they count, and what is said when one is not there."""

from pathlib import Path

import pytest
import yaml

from episodes.errors import UserError
from fewshot_sla.cli.recipes import configs_folder, default_run_folder, read_options, recipe_names, resolve


def test_names_of_all_parts() -> None:
    names = recipe_names("meta")
    assert {"glyphs", "cifarfs", "fc100", "miniimagenet", "tieredimagenet", "omniglot"} <= set(names[""])
    assert {"protonet", "ridge", "svm"} <= set(names["head"])
    for wing in ("meta", "classification"):
        every = [name for topic in recipe_names(wing).values() for name in topic]
        assert len(set(every)) == len(every)  # a name says which file is meant


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("cifar100_lt+ldam_drw+sla_sd", "cifar100_lt+sla_sd+ldam_drw"),
        ("cub200+color3+sla", "cub200+sla+color3"),
        ("glyphs+sla+maml", "glyphs+maml+sla"),
        ("miniimagenet+1shot+ridge+sla", "miniimagenet+sla+ridge+1shot"),
    ],
)
def test_the_order_of_fragments_does_not_matter(one: str, other: str) -> None:
    wing = "classification" if "_lt" in one or "cub" in one else "meta"
    results = [resolve(word, wing) for word in (one, other)]
    folders = [result.pop("run_folder") for result in results]
    assert results[0] == results[1]
    assert folders == [default_run_folder(one), default_run_folder(other)]


def test_what_parts_say_beside_one_another() -> None:
    assert resolve("miniimagenet+protonet", "meta")["train"]["k_shot"] == 5
    assert resolve("miniimagenet+ridge", "meta")["train"]["k_shot"] == 15
    assert resolve("glyphs+maml", "meta")["learner"]["init_args"]["ways"] == 5
    assert resolve("glyphs+maml+sla", "meta")["learner"]["init_args"]["ways"] == 20
    head = resolve("glyphs+svm", "meta")["learner"]["init_args"]["head"]
    assert head == {
        "class_path": "fewshot_sla.heads.SVMHead",
        "init_args": {"kernel_regularization": 50.0, "scale": 15.0},
    }
    assert "init_args" not in resolve("omniglot+svm", "meta")["learner"]["init_args"]["head"]


def test_files_of_ones_own_as_parts(tmp_path: Path) -> None:
    base, more = tmp_path / "mine.yaml", tmp_path / "longer.yml"
    base.write_text("loop: {steps: 3}\nbeside: {longer: {loop: {log_every: 7}}}\n")
    more.write_text("loop: {steps: 30}\n")
    found = resolve(f"{base}+{more}+sla", "classification")
    assert found["loop"] == {"steps": 30, "log_every": 7}
    assert found["run_folder"] == "runs/mine/longer_sla"
    assert found["objective"]["class_path"] == "fewshot_sla.classification.SLA"


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("cifarsf", "unknown base 'cifarsf' of meta recipes; did you mean 'cifarfs' or 'cifarfs_conv4'?"),
        ("cifarfs+rigde", "unknown fragment 'rigde' of meta recipes; did you mean 'ridge'?"),
        (
            "cifarfs+zz",
            "unknown fragment 'zz' of meta recipes; behind a base may stand autoaugment, cutmix, ",
        ),
        ("ridge", "'ridge' is no base; a recipe is BASE+FRAGMENT+..., as in cifarfs+ridge+sla"),
        ("cifarfs+glyphs", "'glyphs' is no fragment"),
        ("cifarfs+sla+da", "'sla' and 'da': both are of 'objective'; name one of them"),
        ("cifarfs+nowhere/x.yaml", "nowhere/x.yaml: there is no such configuration file"),
        ("", "unknown base ''"),
    ],
)
def test_mistakes_in_a_word(word: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        resolve(word, "meta")
    assert message in str(caught.value)


def test_a_name_that_two_files_have(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("base", "one/twin", "two/twin"):
        path = tmp_path / "meta" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    monkeypatch.setattr("fewshot_sla.cli.recipes.configs_folder", lambda: tmp_path)
    with pytest.raises(UserError, match=r"'twin' names several configurations: .*one/twin.yaml, .*two/twin.yaml"):
        resolve("base+twin", "meta")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"- a\n- b\n", "holds a list, but must hold options"),
        (b"a: [1\n", "not readable as YAML"),
        (b"a: \xff\n", "not UTF-8 text"),
        (b"beside: {sla: 3}\n", "beside must hold options under the names of other parts"),
    ],
)
def test_files_that_hold_no_options(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "file.yaml"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"file\.yaml: ") as caught:
        resolve(str(path), "meta")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_empty_file_sets_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    assert read_options(tmp_path / "empty.yaml") == {}


def test_shipped_files_hold_no_class_as_a_mere_name() -> None:
    """The order of the fragments goes by their classes, which must be there to be seen."""
    for path in configs_folder().rglob("*.yaml"):
        assert "class_path: " in path.read_text() or not any(
            isinstance(value, str) and "." in value for value in yaml.safe_load(path.read_text()).values()
        )
