"""Who computes what: the arithmetic of passes, teams and parts, without starting a process."""

import re
from collections import Counter
from pathlib import Path

import pytest
import yaml

from episodes.errors import UserError
from fewshot_sla.training.sharing import Sharing, StepSize, share_out

ROOT = Path(__file__).parents[3]
PUBLISHED = ("cifarfs", "fc100", "miniimagenet", "tieredimagenet")  # table 6 of the paper


def episodes(per_step: int, per_forward: int) -> StepSize:
    return StepSize(per_step, per_forward, "episodes", "episodes_per_step", "episodes_per_forward")


def images(batch_size: int, per_forward: int = 0) -> StepSize:
    return StepSize(batch_size, per_forward, "images", "batch_size", "images_per_forward")


def shared(step: StepSize, processes: int, *, divide: bool = True) -> list[Sharing]:
    return [share_out(step, processes, rank, divide=divide) for rank in range(processes)]


def items_of(sharing: Sharing) -> list[int]:
    """Every item of a step that a process computes, as the tasks number them."""
    numbers = map(sharing.number, range(sharing.own_passes))
    return [item for n in numbers for item in range(n * sharing.items, (n + 1) * sharing.items)[sharing.part]]


@pytest.mark.parametrize("step", [episodes(8, 8), episodes(8, 2), episodes(12, 4), images(30), images(32, 8)], ids=str)
@pytest.mark.parametrize("processes", [1, 2, 3, 4, 6, 8])
def test_every_item_is_computed_once_and_counts_the_same(step: StepSize, processes: int) -> None:
    try:
        all_of_them = shared(step, processes)
    except UserError as error:
        assert "take fewer processes" in str(error)  # noqa: PT017
        assert step.at_once < processes
        return
    assert Counter(item for one in all_of_them for item in items_of(one)) == Counter(range(step.items))
    for one in all_of_them:
        # What an item weighs in the mean over processes of a process's mean over passes of its part's mean.
        of_an_item = one.weight / (one.part.stop - one.part.start) / one.own_passes / processes
        assert of_an_item == pytest.approx(1 / step.items)


@pytest.mark.parametrize("recipe", PUBLISHED)
@pytest.mark.parametrize("processes", [2, 4, 8])
def test_the_published_recipes_run_on_2_4_and_8_gpus(recipe: str, processes: int) -> None:
    options = yaml.safe_load((ROOT / "configs" / "meta" / f"{recipe}.yaml").read_text())
    step = episodes(options["episodes_per_step"], options["episodes_per_forward"])
    for one in shared(step, processes):
        assert len(items_of(one)) == 8 // processes
        assert one.weight == 1


def test_eight_processes_for_four_passes_are_four_teams_of_neighbours() -> None:
    found = shared(episodes(8, 2), 8)
    assert [items_of(one) for one in found] == [[n] for n in range(8)]
    assert [(one.number(0), one.place, one.team_size) for one in found[:4]] == [
        (0, 0, 2),
        (0, 1, 2),
        (1, 0, 2),
        (1, 1, 2),
    ]


def test_whole_passes_stay_whole_where_they_can() -> None:
    """Dividing changes nothing where every process can take passes of its own."""
    for divide in (False, True):
        found = shared(episodes(8, 2), 2, divide=divide)
        assert [items_of(one) for one in found] == [[0, 1, 4, 5], [2, 3, 6, 7]]
        assert all(one.team_size == 1 for one in found)


def test_images_of_a_step_are_one_pass_a_process_unless_divided() -> None:
    assert [one.items for one in shared(images(128), 4, divide=False)] == [32] * 4
    assert [(one.items, one.part) for one in shared(images(128), 2)] == [(128, slice(0, 64)), (128, slice(64, 128))]


@pytest.mark.parametrize(
    ("step", "processes", "ways"),
    [
        (episodes(8, 8), 2, {"sync_batchnorm": "true", "episodes_per_forward": "4"}),
        (episodes(8, 8), 8, {"sync_batchnorm": "true", "episodes_per_forward": "1"}),
        (episodes(8, 2), 8, {"sync_batchnorm": "true", "episodes_per_forward": "1"}),
        (episodes(12, 4), 2, {"sync_batchnorm": "true", "episodes_per_forward": "3"}),
        (episodes(8, 8), 3, {"sync_batchnorm": "true"}),
        (images(128), 3, {"sync_batchnorm": "true"}),
        (images(32, 32), 4, {"sync_batchnorm": "true", "images_per_forward": "8"}),
    ],
)
def test_what_cannot_be_shared_is_refused_with_ways_out_that_work(
    step: StepSize, processes: int, ways: dict[str, str]
) -> None:
    with pytest.raises(UserError, match=f"{processes} processes cannot take equal shares") as refused:
        share_out(step, processes)
    assert dict(re.findall(r"--(\w+) (\w+)", str(refused.value))) == ways
    assert "the result is that of one process" in str(refused.value)
    share_out(step, processes, divide=True)
    if step.pass_option in ways:
        assert "so the result is another" in str(refused.value)
        share_out(step._replace(at_once=int(ways[step.pass_option])), processes)


@pytest.mark.parametrize("divide", [False, True])
def test_a_step_smaller_than_the_processes_is_refused(divide: bool) -> None:
    with pytest.raises(UserError, match=r"take fewer processes .* or larger steps \(--episodes_per_step\)"):
        share_out(episodes(1, 1), 2, divide=divide)


def test_passes_of_unequal_size_are_refused() -> None:
    with pytest.raises(UserError, match=r"episodes_per_step \(8\) must be a multiple of episodes_per_forward \(3\)"):
        share_out(episodes(8, 3), 1)
