"""The page of predictions, read back with html.parser: its form, what it says, and the pictures in it."""

import base64
import io
import itertools
import re
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from fewshot_sla.prediction.page.page import MOST_LINES, page
from fewshot_sla.prediction.page.queries import MOST_QUERIES, by_uncertainty
from fewshot_sla.prediction.page.support import MOST_CLASSES, MOST_SUPPORT
from fewshot_sla.prediction.report import BrokenFile, QueryPrediction
from fewshot_sla.reporting.page.document import shared_style
from tests.fewshot_sla.prediction.page.reports import QUERIES, make, noise, part, query, tree
from tests.fewshot_sla.reporting.html_tree import Tree

NASTY = (
    "<script>alert(1)</script>",
    "a \"b\" & 'c'",
    "two\nlines",
    "&lt;",
    "\N{HEBREW LETTER ALEF}\u202egnp",
    "\udcff",
)


def test_it_is_one_whole_document_that_loads_nothing_and_runs_nothing() -> None:
    report = replace(make(queries=QUERIES), broken=(BrokenFile("x.png", "no picture"),), notes=("a note",))
    html = page(report)
    root = Tree(html).root
    assert html.startswith("<!DOCTYPE html>\n")
    assert [node.tag for node in root.children] == ["html"]
    assert root.one("html").attributes["lang"] == "en"
    assert not list(root.all("script")) + list(root.all("link")) + list(root.all("iframe"))
    ids = [node.attributes["id"] for node in root.all() if "id" in node.attributes]
    assert len(ids) == len(set(ids))
    for node in root.all():
        assert not any(key.startswith("on") for key in node.attributes)
        assert node.attributes.get("src", "data:image/png;base64,").startswith("data:image/png;base64,")
        target = node.attributes.get("href", f"#{ids[0]}")
        assert target[0] == "#"
        assert target[1:] in ids
    assert "http" not in html.replace("http-equiv", "")
    assert "url(" not in html
    assert "@import" not in html


def test_headings_follow_each_other_and_pictures_and_tables_say_what_they_are() -> None:
    report = make(classes=("a", "b", "c"), queries=QUERIES, taken_for=lambda label, shot: (label + (shot == 1)) % 3)
    root = tree(replace(report, broken=(BrokenFile("x.png", "no picture"),)))
    levels = [int(node.tag[1]) for node in root.all() if re.fullmatch("h[1-6]", node.tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert all(node.attributes["alt"] for node in root.all("img"))
    assert {node.attributes.get("scope") for node in root.all("th")} == {"col", "row"}


@pytest.mark.parametrize("name", NASTY)
def test_names_of_every_kind_are_words_and_never_markup(name: str) -> None:
    report = make(
        classes=(name, "b"), queries=(query(f"d/{name}", {name: 0.75, "b": 0.25}),), taken_for=lambda label, shot: 0
    )
    broken = (BrokenFile(name, name),)
    plain = make(classes=("x", "b"), queries=(query("d/x", {"x": 0.75, "b": 0.25}),), taken_for=lambda label, shot: 0)
    html = page(replace(report, broken=broken, notes=(name,), model=name, inference=name))
    root = Tree(html.encode("utf-8").decode("utf-8")).root
    expected = Tree(
        page(replace(plain, broken=(BrokenFile("x", "x"),), notes=("x",), model="x", inference="x", created="x"))
    ).root
    # The same elements as with harmless names, one by one: nothing that a name says becomes an element or an attribute.
    assert [(n.tag, set(n.attributes)) for n in root.all()] == [(n.tag, set(n.attributes)) for n in expected.all()]
    shown = {"two\nlines": "two\\nlines", NASTY[4]: "\N{HEBREW LETTER ALEF}\\u202egnp", "\udcff": "\\udcff"}.get(
        name, name
    )
    card = root.one("li", "card")
    labels = [node.text for node in card.all("span", "of")]
    file = card.one("p", "file").text
    assert labels == [shown, "b"]
    assert file == (shown.rpartition("/")[2] if "/" in shown else shown)
    (class_title, _) = (node.one("h3").text for node in root.all("li", "class"))
    assert class_title == shown


def vote() -> st.SearchStrategy[QueryPrediction]:
    views = st.sampled_from([1, 3, 4, 6])
    return views.flatmap(
        lambda m: st.builds(
            lambda share, agreeing: query("q.png", {"a": share, "b": 1 - share}, agreeing, m),
            st.integers(0, 8).map(lambda eighths: eighths / 8),
            st.integers(0, m),
        )
    )


@settings(deadline=None)
@given(st.lists(vote(), max_size=9))
def test_the_uncertain_come_first(queries: list[QueryPrediction]) -> None:
    def key(place: int) -> tuple[Fraction, Fraction, int]:
        # Eighths are exact in binary, so the fractions are what the floats mean.
        first, second = sorted((Fraction(share) for share in queries[place].probabilities), reverse=True)
        return Fraction(queries[place].agreeing_views, queries[place].views), first - second, place

    expected = [queries[place] for place in sorted(range(len(queries)), key=key)]
    assert [id(one) for one in by_uncertainty(queries)] == [id(one) for one in expected]


def test_a_card_shows_file_label_shares_and_votes_and_stands_in_its_group() -> None:
    queries = part(make(queries=QUERIES), "queries")

    assert [node.text for node in queries.all("h3")] == ["The views disagree: 1 picture", "All views agree: 2 pictures"]
    assert "All are in q." in queries.text
    cards = list(queries.all("li", "card"))
    assert [card.one("p", "file").text for card in cards] == ["split.png", "close.png", "sure.png"]
    assert [card.one("p", "views").text for card in cards] == [
        "2 of 4 views agree", "4 of 4 views agree", "4 of 4 views agree",
    ]  # fmt: skip
    assert [node.text for node in cards[0].all("span", "of")] == ["b", "a"]
    assert [node.text for node in cards[0].all("span", "share")] == ["70 %", "30 %"]
    widths = [bar.one("span").attributes["style"] for bar in cards[0].all("span", "bar")]
    assert widths == ["width:70.0%", "width:30.0%"]


def test_files_of_several_folders_keep_their_folders() -> None:
    report = make(queries=(query("one/q.png", {"a": 1.0, "b": 0.0}), query("two/q.png", {"a": 1.0, "b": 0.0})))
    assert [node.text for node in tree(report).all("p", "file")] == ["one/q.png", "two/q.png"]


def test_three_bars_at_most() -> None:
    shares = {"a": 0.5, "b": 0.25, "c": 0.125, "d": 0.125}
    card = tree(make(classes=tuple(shares), queries=(query("q.png", shares),))).one("li", "card")
    assert [node.text for node in card.all("span", "of")] == ["a", "b", "c"]


def test_single_inference_says_nothing_of_votes() -> None:
    queries = tuple(replace(one, views=1, agreeing_views=1) for one in QUERIES)
    root = tree(replace(make(queries=queries), inference="single"))
    assert [node.text for node in root.all("p", "file")] == ["close.png", "split.png", "sure.png"]
    assert "views" not in root.one("body").text
    assert not list(root.all("p", "views"))
    assert "single inference (SI)" in root.one("header").text


def test_how_far_to_trust_it_is_said_in_figures() -> None:
    report = make(classes=("a", "b"), shots=4, queries=QUERIES, taken_for=lambda label, shot: int(shot == 0 or label))
    first, second, third = (node.text for node in tree(report).one("ul", "facts").all("li"))
    assert first == (
        "88 % of the labelled pictures were predicted right when each in turn was left out: 7 of 8 "
        "(95 % interval 25 % to 88 %). Guessing would give 50 %."
    )
    assert second.startswith("2 of 3 predictions have the votes of all 4 views")
    assert third.startswith("Not calibrated")
    assert "one of the 2 classes" in third


def test_where_all_views_agree_there_are_no_others_to_look_at() -> None:
    agreed = tuple(one for one in QUERIES if one.agreeing_views == one.views)
    for queries, said in ((QUERIES, True), (agreed, False)):
        assert ("The others come first" in tree(make(queries=queries)).one("ul", "facts").text) is said


def test_without_leave_one_out_it_says_that_there_is_no_estimate() -> None:
    root = tree(make(shots=1, queries=QUERIES, taken_for=lambda label, shot: None))
    assert next(root.one("ul", "facts").all("li")).text.startswith("No estimate")
    assert root.by_id("confusion") is None
    assert "left out · " not in root.one("main").text
    assert not list(root.all("li", "mistaken"))


def test_no_query_at_all_is_a_page_too() -> None:
    root = tree(make())
    assert root.one("h1").text == "0 pictures, 2 classes"
    assert "No picture was asked about." in root.one("main").text


def test_the_queries_shown_are_the_least_certain_and_the_others_are_counted() -> None:
    shares = np.random.default_rng(0).permutation(MOST_QUERIES + 7) / (2 * MOST_QUERIES + 14) + 0.5
    queries = tuple(query(f"{i}.png", {"a": share, "b": 1 - share}) for i, share in enumerate(shares.tolist()))
    section = part(make(queries=queries), "queries")

    assert [node.text for node in section.all("p", "file")] == [f"{i}.png" for i in np.argsort(shares)[:MOST_QUERIES]]
    assert f"The {MOST_QUERIES} least certain are shown; 7 more are in predictions.csv" in section.text


def test_thousands_of_classes_and_lines_stay_bounded() -> None:
    classes = tuple(f"class {i:04d}" for i in range(MOST_CLASSES + 3))
    last = query("q.png", {classes[-1]: 0.75, classes[0]: 0.25})
    lines = MOST_LINES + 2
    report = replace(
        make(classes, shots=MOST_SUPPORT // MOST_CLASSES + 2, queries=(last,)),
        broken=tuple(BrokenFile(f"{i}.png", "no picture") for i in range(lines)),
        notes=("a note",) * lines,
    )
    root = tree(report)
    assert len(list(root.all("img"))) <= MOST_SUPPORT + 1
    assert "3 classes more, not shown." in root.one("main").text
    # A label leads to its class only if that is on the page.
    assert [link.text for link in root.one("li", "card").all("a")] == [classes[0]]
    broken, notes = root.by_id("broken"), root.by_id("notes")
    assert broken is not None
    assert notes is not None
    assert len(list(broken.all("tr"))) == MOST_LINES + 1
    assert broken.text.endswith("and 2 files more.")
    assert len(list(notes.all("li"))) == MOST_LINES
    assert notes.text.endswith("and 2 notes more.")


def decoded(uri: str) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.removeprefix("data:image/png;base64,")))))


def test_every_picture_of_a_report_is_on_the_page() -> None:
    queries = tuple(replace(one, picture=noise(7 + i, (3, 8, 8))) for i, one in enumerate(QUERIES))
    report = make(queries=queries)
    shown = [decoded(node.attributes["src"]).tobytes() for node in tree(report).all("img")]
    colour = [one.picture.transpose(1, 2, 0).tobytes() for one in by_uncertainty(queries)]
    assert shown == colour + [one.picture.tobytes() for one in report.support]


def test_the_same_report_gives_the_same_page() -> None:
    assert page(make(queries=QUERIES)) == page(make(queries=QUERIES))


@pytest.mark.parametrize(
    ("created", "shown"),
    [("2025-03-02T14:05:09+01:00", "2025-03-02 14:05 UTC+01:00"), ("now", "now"), ('<b title="x">', '<b title="x">')],
)
def test_when_it_was_made(created: str, shown: str) -> None:
    time = tree(replace(make(), created=created)).one("time")
    assert time.text == shown
    assert time.attributes["datetime"] == created


def luminance(colour: str) -> float:
    """Relative luminance of WCAG 2.1."""
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    channels = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", range(3), ids=["light", "dark", "print"])
def test_words_stand_out_in_every_scheme(scheme: int) -> None:
    block = re.findall(r":root \{(.*?)\}", shared_style(), re.DOTALL)[scheme]
    colours = dict(re.findall(r"--([\w-]+): (#\w+)", block))
    for ground in ("paper", "card"):
        for words in ("ink", "soft", "first", "wrong"):
            assert contrast(colours[words], colours[ground]) >= 4.5
    assert contrast(colours["wrong"], colours["wrong-tint"]) >= 4.5
    assert min(contrast(colours[bar], colours["track"]) for bar in ("first", "other")) >= 3
