"""Laying configurations over one another: what is kept, what is replaced, whose arguments an object is built with."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fewshot_sla.cli.composition import compose, depth_of_class

BASE = {
    "learner": {
        "class_path": "p.Learner",
        "init_args": {"backbone": {"class_path": "p.Small", "init_args": {"channels": 1}}, "scale": 2},
    },
    "optimizer": {"class_path": "p.SGD", "init_args": {"lr": 0.1}},
    "loop": {"steps": 3, "log_every": 1},
}


def changed(place: str, value: object) -> dict:
    """The base with one entry, named by its path, replaced."""
    result = copy.deepcopy(BASE)
    *above, name = place.split(".")
    node = result
    for key in above:
        node = node[key]
    node[name] = value
    return result


@pytest.mark.parametrize(
    ("fragment", "place", "value"),
    [
        ({"loop": {"steps": 5}}, "loop.steps", 5),
        ({"seed": 4}, "seed", 4),
        ({"optimizer": {"init_args": {"lr": 1}}}, "optimizer.init_args.lr", 1),
        ({"optimizer": {"lr": 1}}, "optimizer.init_args.lr", 1),
        ({"optimizer": {"class_path": "p.SGD", "init_args": {"lr": 1}}}, "optimizer.init_args.lr", 1),
        ({"optimizer": "p.SGD"}, "optimizer.init_args.lr", 0.1),
        ({"optimizer": "SGD"}, "optimizer.init_args.lr", 0.1),  # a short name of the same class
        ({"optimizer": "p.Adam"}, "optimizer", {"class_path": "p.Adam"}),
        ({"optimizer": "Adam"}, "optimizer", {"class_path": "Adam"}),
        (
            {"optimizer": {"class_path": "p.Adam", "eps": 1}},
            "optimizer",
            {"class_path": "p.Adam", "init_args": {"eps": 1}},
        ),
        ({"learner": {"backbone": {"class_path": "p.Large"}}}, "learner.init_args.backbone", {"class_path": "p.Large"}),
        ({"learner": {"init_args": {"backbone": "p.Large"}}}, "learner.init_args.backbone", {"class_path": "p.Large"}),
        ({"learner": "p.Other"}, "learner", {"class_path": "p.Other"}),
        ({"learner": None}, "learner", None),
        ({"loop": {"steps": {"class_path": "p.C"}}}, "loop.steps", {"class_path": "p.C"}),
    ],
)
def test_one_fragment(fragment: dict, place: str, value: object) -> None:
    assert compose(BASE, fragment) == changed(place, value)


def test_a_class_is_named_first_and_filled_in_by_later_fragments() -> None:
    """As the options of a command line come, one fragment each."""
    options = [{"loss": "p.LDAM"}, {"loss": {"weights": "p.Balanced"}}, {"loss": {"weights": {"beta": "0.9"}}}]
    weights = {"class_path": "p.Balanced", "init_args": {"beta": "0.9"}}
    assert compose({}, *options) == {"loss": {"class_path": "p.LDAM", "init_args": {"weights": weights}}}


def test_another_class_outside_takes_with_it_what_was_inside() -> None:
    composed = compose(BASE, {"learner": {"backbone": "p.Large"}}, {"learner": "p.Other"})
    assert composed["learner"] == {"class_path": "p.Other"}


def test_nothing_that_is_given_is_changed_or_shared() -> None:
    fragment = {"extra": {"list": [1]}, "optimizer": {"class_path": "p.Adam", "init_args": {"betas": [1]}}}
    before = copy.deepcopy((BASE, fragment))
    composed = compose(BASE, fragment)
    composed["extra"]["list"].append(2)
    composed["optimizer"]["init_args"]["betas"].append(2)
    composed["loop"]["steps"] = 9
    assert (BASE, fragment) == before


LEAVES = st.integers() | st.booleans() | st.none() | st.lists(st.integers(), max_size=2)
KEYS = st.sampled_from("abc")
NODES = st.recursive(LEAVES, lambda inner: st.dictionaries(KEYS, inner, max_size=3), max_leaves=6)
TREES = st.dictionaries(KEYS, NODES, max_size=3)


@given(TREES, TREES, TREES)
def test_without_classes_it_is_the_merge_of_all_paths(one: dict, two: dict, three: dict) -> None:
    assert compose(one) == one
    assert compose(one, one) == one
    assert compose(one, two, three) == compose(compose(one, two), three)
    merged = compose(one, two)
    for path, value in leaves(two):
        node = merged
        for key in path:
            node = node[key]
        assert node == value


def leaves(tree: dict, above: tuple = ()) -> list[tuple[tuple, object]]:
    found: list[tuple[tuple, object]] = []
    for key, value in tree.items():
        if isinstance(value, dict):
            found += leaves(value, (*above, key))
        else:
            found.append(((*above, key), value))
    return found


def test_depth_of_the_outermost_class() -> None:
    assert depth_of_class({"seed": 1, "loop": {"steps": 3}}) == float("inf")
    assert depth_of_class({"seed": 1, "optimizer": {"class_path": "p.SGD"}}) == 1
    head = {
        "learner": {"init_args": {"head": {"class_path": "p.Head", "init_args": {"solver": {"class_path": "p.S"}}}}}
    }
    assert depth_of_class(head) == 2
    assert depth_of_class({**head, "optimizer": {"class_path": "p.SGD"}}) == 1
