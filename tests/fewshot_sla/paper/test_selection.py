"""Cells by the names that people type."""

import pytest

from episodes.errors import UserError
from fewshot_sla.paper.published import published_table
from fewshot_sla.paper.selection import chosen_cells


@pytest.mark.parametrize(
    ("table", "data_sets", "rows", "chosen"),
    [
        ("6", ["cifarfs"], ["protonet", "protonet_sla"], [72.2, 74.6, 83.5, 86.8]),
        ("6", ["CIFAR-FS, 1 shot"], ["ProtoNet"], [72.2]),
        ("6", ["cifar fs"], ["protonet+sla+ag"], [74.6, 86.8]),
        ("3", ["CIFAR-100"], ["sla_color6"], [69.14]),
        ("7", ["cifar10_lt"], ["ldam_drw"], [77.03, 88.16]),  # both ratios
        ("7", ["CIFAR-100 (10)"], [], [55.70, 60.79, 57.12, 61.00, 58.71, 59.89]),
        ("1", [], ["mt"], [90.79, 66.10, 58.04]),
        ("2", ["cifar10"], ["baseline"], [92.39, 94.36]),  # one model, and four
        ("7", ["CIFAR-10 (10)"], ["Baseline"], [86.39]),  # the whole name
    ],
)
def test_cells_are_found(table: str, data_sets: list[str], rows: list[str], chosen: list[float]) -> None:
    assert [cell.value for cell in chosen_cells(published_table(table), data_sets, rows)] == chosen


@pytest.mark.parametrize(
    ("data_sets", "rows", "message"),
    [
        (["cifarsf"], [], "unknown data set 'cifarsf' in table 6; did you mean 'cifarfs'?"),
        ([], ["ProtoNets"], r"unknown row 'ProtoNets' in table 6; did you mean 'ProtoNet'\?"),
        (["cifarfs"], ["SNAIL"], "unknown row 'SNAIL'"),  # it has no cell there
    ],
)
def test_the_nearest_name_is_told(data_sets: list[str], rows: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        chosen_cells(published_table("6"), data_sets, rows)
