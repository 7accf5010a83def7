"""The labelled pictures and their confusions on the page, against the report's own numbers."""

from dataclasses import replace

import numpy as np

from fewshot_sla.prediction.page.support import MOST_A_CLASS
from fewshot_sla.reporting.page.confusions import MOST_CONFUSIONS
from tests.fewshot_sla.prediction.page.reports import make, part, tree


def test_of_many_pictures_a_class_the_mistaken_ones_are_shown() -> None:
    report = make(shots=46, taken_for=lambda label, shot: 1 - label if shot in (20, 45) and not label else label)
    first, second = tree(report).all("li", "class")
    titles = [node.attributes["title"] for node in first.one("ul", "thumbs").all("li") if "title" in node.attributes]
    assert titles == ["a/20.png", "a/45.png", *(f"a/{shot}.png" for shot in range(MOST_A_CLASS - 2))]
    assert [node.text for node in first.all("li", "mistaken")] == ["taken for b"] * 2
    assert first.one("li", "more").text == second.one("li", "more").text == "and 34 more"
    assert "46 pictures · 44 of 46 right when left out · 0 predictions" in first.text
    assert not list(second.all("li", "mistaken"))


def test_up_to_twenty_classes_make_a_matrix() -> None:
    classes = tuple(f"c{i}" for i in range(20))
    report = make(classes, taken_for=lambda label, shot: (label * 7 + shot) % 20)
    section = part(report, "confusion")

    rows = [[int(cell.text or 0) for cell in row.all("td")] for row in section.one("tbody").all("tr")]
    assert rows == report.leave_one_out_confusion.tolist()
    assert [node.text for node in section.one("thead").all("th")][1:] == list(classes)
    assert [node.text for node in section.one("tbody").all("th")] == list(classes)
    right = [[j for j, cell in enumerate(row.all("td")) if cell.attributes.get("class") == "right"]
             for row in section.one("tbody").all("tr")]  # fmt: skip
    assert right == [[i] if report.leave_one_out_confusion[i, i] else [] for i in range(20)]


def test_sixty_classes_make_a_list_of_the_most_frequent_confusions() -> None:
    classes = tuple(f"c{i}" for i in range(60))
    # Class i is taken for its neighbour in i of 60 shots.
    report = make(classes, shots=60, taken_for=lambda label, shot: (label + (shot < label)) % 60)
    section = part(report, "confusion")
    assert len(list(section.all("table"))) == 1
    rows = [[cell.text for cell in row.children] for row in section.one("tbody").all("tr")]
    assert rows == [
        [f"c{i}", f"c{(i + 1) % 60}", f"{i} of 60 ({100 * i / 60:.0f} %)"] for i in range(59, 59 - MOST_CONFUSIONS, -1)
    ]
    assert "1,770 pictures of 3,600 got another label" in section.text
    assert section.text.endswith(f"and {59 - MOST_CONFUSIONS} pairs of classes more.")


def test_sixty_classes_without_a_mistake_need_no_list() -> None:
    section = part(make(tuple(f"c{i}" for i in range(60))), "confusion")
    assert not list(section.all("table"))
    assert "None: " in section.text


def test_more_pictures_come_first_then_the_larger_share() -> None:
    confusion = np.zeros((21, 21), np.int64)
    confusion[0, 1] = 1  # 1 of 1
    confusion[2, [2, 3]] = 57, 3  # 3 of 60
    confusion[4, [4, 5]] = 1, 3  # 3 of 4
    report = replace(make(tuple(f"c{i}" for i in range(21))), leave_one_out_confusion=confusion)
    rows = [row.one("td", "number").text for row in part(report, "confusion").one("tbody").all("tr")]
    assert rows == ["3 of 4 (75 %)", "3 of 60 (5 %)", "1 of 1 (100 %)"]
