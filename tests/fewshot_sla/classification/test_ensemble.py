"""Ensembles by hand, where the mean of logits and that of probabilities disagree; their record, and who reads it."""

import json
from pathlib import Path

import pytest
import torch

from episodes.errors import UserError
from fewshot_sla.classification.ensemble import (
    EnsembleMember,
    EnsembleRecord,
    ensemble_record,
    mean_logits,
    read_ensemble,
    write_ensemble,
)
from fewshot_sla.classification.predictions import Predictions
from fewshot_sla.classification.results import summarize_classes
from fewshot_sla.classification.tables import ensemble_table
from tests.fewshot_sla.runs import known_runs


def of_logits(**logits: list[list[float]]) -> Predictions:  # one crop an image
    return Predictions(torch.tensor([0, 1]), {name: torch.tensor(rows)[:, None] for name, rows in logits.items()})


def test_an_ensemble_averages_logits_before_the_softmax() -> None:
    """Image 0: one member is all but sure of class 0, two prefer class 1 with e^2 to 1.

    The mean logits are (2, 4/3): class 0. Its probabilities are 0.998, 0.119 and 0.119, on average 0.412: class 1.
    """
    members = [of_logits(single=[[6.0, 0.0], [0.0, 1.0]]), *[of_logits(single=[[0.0, 2.0], [0.0, 1.0]])] * 2]
    found = mean_logits(members)
    torch.testing.assert_close(found.logits["single"], torch.tensor([[[2.0, 4 / 3]], [[0.0, 1.0]]]))
    assert found.right("single").tolist() == [True, True]
    of_probabilities = sum(member.probabilities("single") for member in members) / 3
    assert of_probabilities[0].tolist() == pytest.approx([0.411978, 0.588022], abs=1e-5)


def test_of_ten_crops_logits_are_averaged_over_members_crop_by_crop_and_probabilities_over_crops() -> None:
    one = Predictions(torch.tensor([0]), {"single": torch.tensor([[[4.0, 0.0], [0.0, 1.0]]])})
    other = Predictions(torch.tensor([0]), {"single": torch.tensor([[[-4.0, 0.0], [0.0, 3.0]]])})
    found = mean_logits([one, other]).probabilities("single")
    expected = (torch.tensor([0.0, 0.0]).softmax(0) + torch.tensor([0.0, 2.0]).softmax(0)) / 2
    torch.testing.assert_close(found, expected[None])


def test_only_the_inferences_of_all_members_are_kept() -> None:
    row = [[0.0, 1.0], [1.0, 0.0]]
    found = mean_logits([of_logits(single=row, distilled=row), of_logits(aggregated=row, single=row)])
    assert list(found.logits) == ["single"]


def made_up_record(finished: bool = True) -> EnsembleRecord:
    found, images = known_runs.predictions(), known_runs.images()
    results = summarize_classes(found, images, known_runs.CLASS_COUNTS, primary="single", step=7)
    seeds = (0, 3)
    members = [EnsembleMember(run_folder=f"runs/s{s}", seed=s, step=7, finished=finished or s == 0) for s in seeds]
    return ensemble_record(members, results, images, padding=0)


def test_a_record_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    record = made_up_record()
    write_ensemble(tmp_path / "e.json", record)
    assert read_ensemble(tmp_path / "e.json") == record
    assert (record.models, record.seeds, record.averaged, record.images) == (2, [0, 3], "logits", 12)
    assert [result.accuracy for result in record.results] == [0.75, 10 / 12]


def test_a_member_that_stopped_early_is_named_in_the_table() -> None:
    assert ensemble_table(made_up_record(finished=False)).notes[-1] == "Not trained to its end: runs/s3."
    assert "runs/s3" not in str(ensemble_table(made_up_record()).notes)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"models": 3}, "not those of its members"),
        ({"seeds": [0, 1]}, "not those of its members"),
        ({"averaged": "probabilities"}, "averaged must be logits, got 'probabilities'"),
        ({"fingerprint": "of other images"}, "results must be of the images of the ensemble"),
        ({"results": []}, "at least one"),
        ({"members": [{"run_folder": "a"}]}, "members[0].seed is missing"),
        ({"images": "many"}, 'images must be a whole number, got "many"'),
    ],
)
def test_a_record_that_contradicts_itself_is_refused(tmp_path: Path, change: dict[str, object], words: str) -> None:
    path = tmp_path / "e.json"
    write_ensemble(path, made_up_record())
    document = json.loads(path.read_text())
    document["ensemble"] |= change
    path.write_text(json.dumps(document))
    with pytest.raises(UserError) as caught:
        read_ensemble(path)
    assert str(caught.value).startswith(f"{path}: ensemble.")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [("{", "damaged"), ("[]", "holds no ensemble"), ('{"members": [], "results": []}', "no ensemble of this version")],
)
def test_what_is_no_record_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "e.json").write_text(text)
    with pytest.raises(UserError, match=words):
        read_ensemble(tmp_path / "e.json")
    with pytest.raises(UserError, match="there is no such file"):
        read_ensemble(tmp_path / "nowhere.json")
