"""From folders to the report: every figure in it against an independent way, and every remark."""

import datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from episodes.errors import UserError
from fewshot_sla.prediction import from_folders
from fewshot_sla.prediction.folders import query_files, support_files
from fewshot_sla.prediction.from_folders import fit_files, predict_files
from fewshot_sla.prediction.leave_one_out import wilson_interval
from fewshot_sla.prediction.predictor import fit
from fewshot_sla.prediction.report import PredictionReport
from tests.fewshot_sla.prediction import small

SHOTS = {"bear": 1, "cat": 3, "dog": 2}


def write(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Uneven shots in support/, four queries a class in query/."""
    pictures, _ = small.pictures(3, 8)
    for label, (name, shots) in enumerate(SHOTS.items()):
        for number, picture in enumerate(pictures[8 * label : 8 * label + shots]):
            write(tmp_path / "support" / name / f"{number}.png", picture[0])
        for number, picture in enumerate(pictures[8 * label + 4 : 8 * label + 8]):
            write(tmp_path / "query" / f"{name}{number}.png", picture[0])
    return tmp_path


def report_of(root: Path, *, most: int = 300, strict: bool = False, **options) -> PredictionReport:
    files, notes = support_files(root / "support")
    predictor = fit_files(small.model(), files, notes=notes, strict=strict, **options)
    queries, remarks = query_files([str(root / "query")])
    return predict_files(predictor, queries, most_left_out=most, strict=strict, notes=remarks)


def test_the_report_says_what_the_predictor_says(root: Path) -> None:
    report = report_of(root)
    pictures, _ = small.pictures(3, 8)
    rows = [8 * label + number for label, shots in enumerate(SHOTS.values()) for number in range(shots)]
    labels = np.repeat(np.arange(3), list(SHOTS.values()))
    predictor = fit(small.model(), pictures[rows], labels, tuple(SHOTS))
    queries = [8 * label + number for label in range(3) for number in range(4, 8)]
    expected = predictor.predict(pictures[queries])
    assert report.classes == ("bear", "cat", "dog")
    assert (report.inference, report.model) == ("aggregated", "small")
    assert [Path(query.name).name for query in report.queries] == [f"{n}{k}.png" for n in SHOTS for k in range(4)]
    for query, shares, agreeing, row in zip(
        report.queries, expected.probabilities, expected.agreeing, queries, strict=True
    ):
        assert sorted(query.labels) == sorted(SHOTS)
        assert list(query.probabilities) == sorted(shares.tolist(), reverse=True)
        assert query.labels[0] == predictor.classes[int(shares.argmax())]
        assert dict(zip(query.labels, query.probabilities, strict=True))["cat"] == shares[1]
        assert (query.agreeing_views, query.views) == (agreeing, 4)
        assert np.array_equal(query.picture, pictures[row])
    left = predictor.leave_one_out()
    said = {image.name: image.left_out_label for image in report.support}
    assert list(said.values()) == ["", *(predictor.classes[label] for label in left.predicted)]
    right = sum(image.left_out_label == image.label for image in report.support)
    assert report.leave_one_out == right / 5
    assert report.leave_one_out_interval == wilson_interval(right, 5)
    assert report.leave_one_out_confusion.sum() == 5
    assert report.leave_one_out_confusion.trace() == right
    assert report.leave_one_out_confusion[0].sum() == 0
    assert [image.label for image in report.support] == ["bear", "cat", "cat", "cat", "dog", "dog"]
    assert all(np.array_equal(image.picture, pictures[row]) for image, row in zip(report.support, rows, strict=True))
    assert report.notes == ("the class bear has a single picture, which cannot be left out: not measured",)
    assert datetime.datetime.fromisoformat(report.created).tzinfo is not None
    assert report.broken == ()


def test_a_single_inference_asks_one_view(root: Path) -> None:
    report = report_of(root, inference="single")
    assert report.inference == "single"
    assert {(query.agreeing_views, query.views) for query in report.queries} == {(1, 1)}


def test_dark_on_light_is_turned_and_said(root: Path) -> None:
    plain = report_of(root, invert="no")
    pictures = [path for path in root.rglob("*.png")]
    for path in pictures:  # a light frame: paper
        pixels = np.array(Image.open(path))
        frame = np.zeros_like(pixels)
        frame[3:-3, 3:-3] = pixels[3:-3, 3:-3]
        Image.fromarray(frame).save(path)
    dark = report_of(root)
    for path in pictures:
        Image.fromarray(255 - np.array(Image.open(path))).save(path)
    light = report_of(root)
    note = (
        "light and dark were exchanged in all pictures, for the model was trained on the opposite; "
        "--invert no leaves them as they are"
    )
    assert light.notes == (note, *dark.notes)
    assert [query.probabilities for query in light.queries] == [query.probabilities for query in dark.queries]
    assert all(np.array_equal(a.picture, b.picture) for a, b in zip(light.queries, dark.queries, strict=True))
    assert note not in plain.notes
    told = report_of(root, invert="yes")
    assert [query.probabilities for query in told.queries] == [query.probabilities for query in dark.queries]
    assert note not in told.notes
    left = report_of(root, invert="no")
    assert np.array_equal(left.queries[0].picture, 255 - dark.queries[0].picture)


def test_broken_files_are_counted_and_strict_stops(root: Path) -> None:
    (root / "support" / "cat" / "bad.png").write_text("no picture")
    (root / "query" / "bad.jpg").write_bytes(b"")
    report = report_of(root)
    assert [(Path(file.name).name, file.reason) for file in report.broken] == [
        ("bad.png", "not an image that Pillow can read"),
        ("bad.jpg", "not an image that Pillow can read"),
    ]
    assert len(report.queries) == 12
    assert len(report.support) == 6
    with pytest.raises(UserError, match=r"support/cat/bad\.png: not an image that Pillow can read"):
        report_of(root, strict=True)


def test_a_class_without_a_readable_picture_is_named(root: Path) -> None:
    (root / "support" / "bear" / "0.png").write_text("no picture")
    with pytest.raises(UserError) as error:
        report_of(root)
    bad = root / "support" / "bear" / "0.png"
    assert str(error.value) == (f"the class 'bear' has no readable picture; {bad}: not an image that Pillow can read")


def test_queries_that_are_all_broken_are_no_queries(root: Path) -> None:
    for path in (root / "query").iterdir():
        path.write_text("no picture")
    with pytest.raises(UserError) as error:
        report_of(root)
    assert str(error.value) == (
        f"no query can be read; {root / 'query' / 'bear0.png'}: not an image that Pillow can read"
    )


def test_equal_pictures_are_remarked(root: Path) -> None:
    support, query = root / "support", root / "query"
    (query / "a link.png").symlink_to(support / "cat" / "0.png")
    (query / "copy.png").write_bytes((support / "cat" / "1.png").read_bytes())
    (support / "dog" / "again.png").write_bytes((support / "dog" / "0.png").read_bytes())
    (support / "dog" / "wrong.png").write_bytes((support / "cat" / "2.png").read_bytes())
    notes = report_of(root).notes
    assert notes[:3] == (
        f"{query / 'a link.png'} is the support picture {support / 'cat' / '0.png'}: its prediction says nothing",
        f"{support / 'cat' / '2.png'} and {support / 'dog' / 'wrong.png'} are the same picture (and 1 more): "
        "they are in two classes",
        f"{query / 'copy.png'} is the same picture as {support / 'cat' / '1.png'} in the support",
    )
    (support / "dog" / "wrong.png").unlink()
    assert report_of(root).notes[1] == (
        f"{support / 'dog' / '0.png'} and {support / 'dog' / 'again.png'} are the same picture: leave-one-out flatters"
    )


def test_what_was_not_measured_is_said(root: Path) -> None:
    report = report_of(root, most=2)
    assert report.notes[-1] == "leave-one-out was measured on 2 of 5 pictures, drawn at random"
    assert sum(image.left_out_label != "" for image in report.support) == 2
    for name in ("cat", "dog"):
        for path in list((root / "support" / name).iterdir())[1:]:
            path.unlink()
    report = report_of(root)
    assert (report.leave_one_out, report.leave_one_out_interval) == (None, None)
    assert report.notes == ("3 classes have a single picture, which cannot be left out: not measured (bear, cat, dog)",)


def test_progress_is_told(root: Path) -> None:
    told: list[tuple[str, int, int]] = []
    files, _ = support_files(root / "support")
    predictor = fit_files(small.model(), files, on_progress=lambda *far: told.append(far))
    predict_files(predictor, query_files([str(root / "query")])[0], on_progress=lambda *far: told.append(far))
    last = {what: (done, total) for what, done, total in told}
    assert last == {
        "support pictures": (6, 6),
        "reading queries": (12, 12),
        "leaving one out": (5, 5),
        "queries": (12, 12),
    }
    assert from_folders.MOST == 300
