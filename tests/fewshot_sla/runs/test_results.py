"""results.json of both wings: written as ever, read whatever older and newer programs wrote, mistakes told by name."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from episodes.errors import UserError
from fewshot_sla.classification.results import ClassificationResult, prediction_tables, summarize_classes
from fewshot_sla.classification.results import paired_outcomes as image_outcomes
from fewshot_sla.meta.outcome_files import outcome_tables, read_outcomes
from fewshot_sla.meta.outcome_files import paired_outcomes as episode_outcomes
from fewshot_sla.meta.results import EpisodeResult, summarize
from fewshot_sla.runs.comparison import Outcomes
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.runs.records import from_json, to_json, write_json
from fewshot_sla.runs.results import Result, read_document, read_results, save_results
from tests.fewshot_sla.runs import known_runs as known

PROGRAMS: dict[str, type[Result]] = {"meta": EpisodeResult, "classification": ClassificationResult}
TEXT = st.text(max_size=8)
COMMON = {
    "dataset": TEXT,
    "split": TEXT,
    "inference": TEXT,
    "accuracy": st.floats(),
    "ci95": st.floats(),
    "primary": st.booleans(),
    "step": st.integers(),
    "fingerprint": TEXT,
}
EPISODES = st.builds(
    EpisodeResult,
    **COMMON,
    **{name: st.integers() for name in ("n_way", "k_shot", "n_query", "episodes", "seed", "crops", "padding")},
    **{name: st.integers() for name in ("classes", "disjoint_episodes")},
    **{f"{over}_{what}": st.floats() for over in ("class", "disjoint") for what in ("accuracy", "ci95")},
)
CLASSES = st.builds(
    ClassificationResult,
    **COMMON,
    crops=st.integers(),
    images=st.integers(),
    groups=st.dictionaries(TEXT, st.floats()),
    per_class=st.lists(st.floats(), max_size=4),
)


def save_meta(folder: RunFolder) -> None:
    for episodes, split in ((3, "val"), (3, "test"), (1, "test")):
        found, images = known.outcomes(episodes), known.images(split)
        results = summarize(found, images, known.SPEC, known.SEED, primary="aggregated", step=known.STEP)
        details = {**known.DETAILS, "wall_time_s": {f"{split}, {episodes}": 0.5}}
        save_results(folder, results, outcome_tables(results, found, images.class_names), images, details)


def save_classification(folder: RunFolder) -> None:
    found, images = known.predictions(), known.images()
    for crops, padding in ((1, 0), (10, 4)):
        results = summarize_classes(
            found, images, known.CLASS_COUNTS, primary="aggregated", step=known.STEP, crops=crops, padding=padding
        )
        details = {**known.DETAILS, "wall_time_s": {f"{crops} crops": 0.5}}
        save_results(folder, results, prediction_tables(results, found, images.class_names), images, details)


SAVE = {"meta": save_meta, "classification": save_classification}


@pytest.fixture(params=PROGRAMS)
def wing(request: pytest.FixtureRequest) -> str:
    return request.param


def saved_copy(wing: str, path: Path) -> RunFolder:
    """A run folder of an older program."""
    return RunFolder(shutil.copytree(known.SAVED / wing, path / wing))


def edited(folder: RunFolder, **changes: Any) -> RunFolder:
    """The folder with fields of its first result changed; of value ... they are taken out."""
    document = json.loads(folder.results.read_text())
    entry = {**document["results"][0], **changes}
    document["results"][0] = {name: value for name, value in entry.items() if value is not ...}
    folder.results.write_text(json.dumps(document))
    return folder


@given(st.one_of(EPISODES, CLASSES))
def test_what_is_written_is_what_is_read(result: Result) -> None:
    text = json.dumps(to_json(result), allow_nan=False)  # JSON has neither NaN nor infinity
    again = from_json(type(result), json.loads(text), "")
    assert repr(again) == repr(result)  # NaN too
    assert repr(again.key) == repr(result.key)


def test_the_files_of_a_run_are_what_they_were(wing: str, tmp_path: Path) -> None:
    """All that the program wrote before is written still, and the same; it may write more."""
    SAVE[wing](RunFolder(tmp_path))
    before, after = (json.loads((path / "results.json").read_text()) for path in (known.SAVED / wing, tmp_path))
    assert len(after["results"]) == len(before["results"])
    for old, new in zip(before.pop("results"), after.pop("results"), strict=True):
        assert {name: new[name] for name in old if name != "ci95"} == {n: v for n, v in old.items() if n != "ci95"}
        assert new["ci95"] == (None if old["ci95"] is None else pytest.approx(old["ci95"], rel=1e-12))  # SciPy's
    assert {name: after[name] for name in before} == before
    tables = [path.relative_to(known.SAVED / wing) for path in (known.SAVED / wing).rglob("*.csv")]
    assert len(tables) > 3
    for table in tables:
        assert (tmp_path / table).read_bytes() == (known.SAVED / wing / table).read_bytes()


# What results over episodes did not say before.
SINCE = [f"{of}{what}" for of in ("class_", "disjoint_") for what in ("accuracy", "ci95")]
SINCE += ["classes", "disjoint_episodes"]


def _of_then(result: Result) -> str:
    """What an older program said of a result."""
    return repr({name: value for name, value in vars(result).items() if name not in SINCE})


def test_results_of_an_older_program_are_read_and_added_to(wing: str, tmp_path: Path) -> None:
    folder = saved_copy(wing, tmp_path)
    SAVE[wing](RunFolder(tmp_path / "new"))
    old, new = (read_results(one, PROGRAMS[wing]) for one in (folder, RunFolder(tmp_path / "new")))
    assert [_of_then(result) for result in old] == [_of_then(result) for result in new]
    for result in old:
        if isinstance(result, EpisodeResult):
            correct, classes = read_outcomes(folder, result)
            assert correct.sum() / classes.size / result.n_query == pytest.approx(result.accuracy)
            assert list(result.estimates) == ["episodes"]
            assert (result.crops, result.padding) == (1, 0)
    document = folder.results.read_text()
    SAVE[wing](folder)  # each replaces itself
    assert len(read_results(folder, PROGRAMS[wing])) == len(old)
    assert json.loads(document)["data"] == json.loads(folder.results.read_text())["data"]


@pytest.mark.parametrize(
    ("was", "now"),
    [
        (b"\n0,", b"\n\xff0,"),  # not even text
        (b"\n0,", b"\n0," + b"x" * 200_000),
        (b"\n0,", b"\n0,0,99999999999999999999999999,"),
        (b"\n0,", b"\n0,1.0,-1,"),
    ],
)
def test_damaged_tables_beside_results_are_one_line(wing: str, was: bytes, now: bytes, tmp_path: Path) -> None:
    folder = saved_copy(wing, tmp_path)
    result = read_results(folder, PROGRAMS[wing])[0]
    (name,) = result.files.values()
    table = folder.path / name
    table.write_bytes(table.read_bytes().replace(was, now))
    with pytest.raises(UserError, match=r"csv: .*; run .* again$"):
        read_table(folder, result)


def test_tables_that_contradict_the_results_are_not_compared(wing: str, tmp_path: Path) -> None:
    folder = edited(saved_copy(wing, tmp_path), accuracy=0.123)
    with pytest.raises(UserError, match=r"csv: its .* do not come to the accuracy in results.json; run .* again$"):
        read_table(folder, read_results(folder, PROGRAMS[wing])[0])


def read_table(folder: RunFolder, result: Result) -> Outcomes:
    if isinstance(result, EpisodeResult):
        return episode_outcomes(folder, result)
    assert isinstance(result, ClassificationResult)
    return image_outcomes(folder, result)


def test_what_a_newer_program_wrote_is_read_and_kept(wing: str, tmp_path: Path) -> None:
    folder = edited(saved_copy(wing, tmp_path), calibration=[0.1], split="val", fingerprint="f")
    document = json.loads(folder.results.read_text())
    write_json(folder.results, {**document, "energy": {"kWh": 0.1}})
    assert read_results(folder, PROGRAMS[wing])[0].split == "val"
    found, images = known.predictions(), known.images()
    if wing == "meta":
        save_meta(folder)
    else:
        results = summarize_classes(found, images, known.CLASS_COUNTS, primary="single", step=known.STEP)
        save_results(folder, results, {}, images, {})
    after = json.loads(folder.results.read_text())
    assert after["energy"] == {"kWh": 0.1}
    if wing == "classification":  # that of meta is replaced
        assert after["results"][0]["calibration"] == [0.1]


def test_fields_that_an_older_program_did_not_write_have_defaults(tmp_path: Path) -> None:
    changes: dict[str, Any] = {"crops": ..., "groups": ..., "primary": ..., "ci95": ...}
    (result, *_) = read_results(edited(saved_copy("classification", tmp_path), **changes), ClassificationResult)
    assert (result.crops, result.groups, result.primary) == (1, {}, False)
    assert repr(result.ci95) == "nan"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"accuracy": ...}, "results[0].accuracy is missing"),
        ({"accuracy": "high"}, 'results[0].accuracy must be a number, got "high"'),
        ({"accuracy": True}, "results[0].accuracy must be a number, got true"),
        ({"accuracy": 10**400}, "results[0].accuracy must be a number, got 1000"),
        ({"step": 4.5}, "results[0].step must be a whole number, got 4.5"),
        ({"step": True}, "results[0].step must be a whole number, got true"),
        ({"primary": 1}, "results[0].primary must be true or false, got 1"),
        ({"split": ["a"]}, 'results[0].split must be text, got ["a"]'),
        ({"per_class": [0.5, "x"]}, 'results[0].per_class[1] must be a number, got "x"'),
        ({"per_class": 0.5}, "results[0].per_class must be a list, got 0.5"),
        ({"groups": {"few": []}}, "results[0].groups.few must be a number, got []"),
        ({"groups": []}, "results[0].groups must be an object with named fields, got []"),
    ],
)
def test_a_field_that_cannot_be_read_is_named(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    folder = edited(saved_copy("classification", tmp_path), **changes)
    with pytest.raises(UserError) as caught:
        read_results(folder, ClassificationResult)
    message = str(caught.value)
    assert message.startswith(f"{folder.results}: {words}")
    assert message.endswith(f"; remove the file and run python -m fewshot_sla.test {folder.path}")
    assert "\n" not in message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "the file is damaged"),
        ("[]", "there is no list of results in it"),
        ('{"results": {}}', "there is no list of results in it"),
        ('{"results": [3]}', "results[0] must be an object with named fields, got 3"),
        ('{"results": [], "data": []}', "data must be an object with named fields"),
        ('{"results": [], "data": {"val": {"name": "x/val"}}}', "data.val.fingerprint is missing"),
        ('{"results": [], "wall_time_s": 3}', "wall_time_s must be an object with named fields"),
    ],
)
def test_nothing_is_added_to_a_file_that_is_not_ours(wing: str, text: str, words: str, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.results.write_text(text)
    with pytest.raises(UserError) as caught:
        SAVE[wing](folder)
    assert words in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]
    assert folder.results.read_text() == text


def test_results_say_which_program_made_them(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    with pytest.raises(UserError, match=r"no results yet; run python -m fewshot_sla\.meta_test "):
        read_results(folder, EpisodeResult)
    save_classification(folder)
    with pytest.raises(UserError, match=r"results of python -m fewshot_sla\.test, not of meta_test$"):
        read_results(folder, EpisodeResult)
    found = read_results(folder, Result)  # of any kind
    assert [(result.inference, result.primary) for result in found] == 2 * [("single", False), ("aggregated", True)]
    facts = read_document(folder, ClassificationResult).data["test"]
    assert (facts.name, facts.images, facts.classes) == ("made-up/test", 12, 4)


def test_numbers_that_json_does_not_have_do_not_stop_the_writing(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"clip": float("inf"), "best": {"single": float("nan")}, "counts": (1, 2)})
    text = (tmp_path / "a.json").read_text()
    found = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert found == {"clip": "inf", "best": {"single": None}, "counts": [1, 2]}
