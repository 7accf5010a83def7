"""A study by its command line, by a file, by both."""

from pathlib import Path

import pytest

from episodes.errors import UserError
from fewshot_sla import study
from fewshot_sla.studies.options import kind_of, name_of_baseline, understood
from fewshot_sla.studies.plan import trainings_of

FILE = """
recipes: [digits+baseline, digits+sla]
seeds: [0, 1]
baseline: baseline
workers: 2
slurm: {partition: gpu}
options: {loop: {steps: 7}, accelerator: cpu, schedule.milestones: [0.5]}
"""


def test_a_file_gives_what_the_command_line_leaves_open(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(FILE)
    arguments = [str(path), "--workers", "3", "--slurm.minutes=9", "--seeds", "4", "5", "--", "--loop.steps=8"]
    words, told, asked = understood(study._parser(), arguments)
    assert words == ["digits+baseline", "digits+sla"]
    assert told == ["--loop.steps=7", "--accelerator=cpu", "--schedule.milestones=[0.5]", "--loop.steps=8"]
    assert (asked.seeds, asked.workers, asked.baseline) == ([4, 5], 3, "baseline")
    assert (asked.slurm.partition, asked.slurm.minutes) == ("gpu", 9)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("recipes: digits+sla", "recipes must be a list of words"),
        ("recipes: [digits+sla]\nseed: [1]", "unknown key 'seed'; did you mean 'seeds'?"),
        ("recipes: [digits+sla]\noptions: [1]", "options must be options of a training"),
        ("recipes: [digits+sla]\nworkers: many", "workers"),
    ],
)
def test_mistakes_in_a_file_are_one_line(text: str, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as error:
        understood(study._parser(), [str(path)])
    assert complaint in str(error.value)
    assert "\n" not in str(error.value)


def test_a_baseline_is_named_as_it_is_shown_or_in_full() -> None:
    words = ["digits+baseline", "digits+sla"]
    for asked in ("baseline", "digits_baseline", "digits+baseline"):
        assert name_of_baseline(asked, words) == "digits_baseline"
    with pytest.raises(UserError, match="the baseline 'da' is none of the recipes: baseline, sla"):
        name_of_baseline("da", words)
    with pytest.raises(UserError, match="cannot stand in one table"):
        kind_of(["digits+sla", "glyphs+protonet+sla"])


@pytest.mark.parametrize("option", ["--seed", "--seed=7", "--run_folder=elsewhere"])
def test_what_each_training_has_its_own_of_is_not_told_to_all(option: str) -> None:
    with pytest.raises(UserError, match="cannot be told to every training: give --"):
        trainings_of(["digits+sla"], ["--loop.steps=7", option])
