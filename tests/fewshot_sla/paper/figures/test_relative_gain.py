"""Relative gain against n: how runs find their partners, what is computed, what is refused."""

from pathlib import Path

import pytest
from matplotlib.image import imread

from episodes.errors import UserError
from fewshot_sla.paper.figures.figure4 import draw_gains, figure4, gain_table, largest_table
from fewshot_sla.paper.figures.options import LimitedData
from fewshot_sla.paper.figures.relative_gain import Gains, find_runs, read_runs, relative_gains
from fewshot_sla.reporting.pictures import COLORS
from fewshot_sla.reporting.tables import Figure
from fewshot_sla.runs import checkpoint
from fewshot_sla.runs.folder import RunFolder
from tests.fewshot_sla.classification.made_up_runs import OBJECTIVES, made_up_run
from tests.fewshot_sla.reporting.test_training_curves import colors_of


def baseline(path: Path, size: int, seed: int, accuracy: float, shade: int = 0) -> RunFolder:
    accuracies = {"single": [accuracy] * 3}
    objective = f"{OBJECTIVES}.Baseline"
    return made_up_run(
        path, counts=[size] * 3, seed=seed, accuracies=accuracies, primary="single", shade=shade, objective=objective
    )


def method(path: Path, size: int, seed: int, single: float, aggregated: float) -> RunFolder:
    accuracies = {"single": [single] * 3, "aggregated": [aggregated] * 3}
    return made_up_run(path, counts=[size] * 3, seed=seed, accuracies=accuracies)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study: two sizes, two seeds of one of them."""
    root = tmp_path_factory.mktemp("study")
    baseline(root / "base_n50" / "seed1", 50, 1, 0.5)
    baseline(root / "base_n25" / "seed0", 25, 0, 0.4)
    baseline(root / "base_n25" / "seed1", 25, 1, 0.2)
    method(root / "sla_n25" / "seed0", 25, 0, 0.5, 0.6)
    method(root / "sla_n25" / "seed1", 25, 1, 0.2, 0.25)
    method(root / "sla_n50" / "seed1", 50, 1, 0.4, 0.55)
    return root


def gains_of(*paths: Path, name: str = "Baseline", split: str = "test") -> list[Gains]:
    return relative_gains(read_runs(find_runs([str(path) for path in paths]), split), name)


def test_runs_of_a_study_are_paired_by_size_and_seed(root: Path) -> None:
    aggregated, single = gains_of(root)
    assert (aggregated.objective, aggregated.inference) == ("SLA", "aggregated")
    assert list(aggregated.gains) == [25, 50]
    assert aggregated.gains[25] == pytest.approx((0.6 / 0.4 - 1, 0.25 / 0.2 - 1))
    assert aggregated.gains[50] == pytest.approx((0.55 / 0.5 - 1,))
    assert single.inference == "single"
    assert single.gains[50] == pytest.approx((-0.2,))
    assert gains_of(*sorted(root.glob("*/seed*")), root) == [aggregated, single]  # each run once
    (swapped,) = gains_of(root, name="SLA")
    assert swapped.gains[50] == pytest.approx((0.5 / 0.55 - 1,))  # over what chose its best weights


def test_of_self_distillation_the_distilled_inference(tmp_path: Path, root: Path) -> None:
    accuracies = {"distilled": [0.6] * 3, "single": [0.1] * 3, "aggregated": [0.9] * 3}
    objective = f"{OBJECTIVES}.SLASD"
    path = tmp_path / "sd"
    made_up_run(path, counts=[50] * 3, seed=1, accuracies=accuracies, primary="distilled", objective=objective)
    (found,) = gains_of(root / "base_n50", path)
    assert (found.name, found.gains) == ("SLASD, distilled (SD)", {50: pytest.approx((0.2,))})


def test_tables(root: Path) -> None:
    found = gains_of(root)
    table = gain_table(found, "a title")
    assert [str(cell) for cell in table.rows[0]] == ["25", "2", "+37.50 ± 17.68", "+12.50 ± 17.68"]
    assert [str(cell) for cell in table.rows[1]] == ["50", "1", "+10.00", "-20.00"]
    largest = largest_table(found, "made/test")
    assert largest.notes[0].startswith("Ours: made/test. The paper: CIFAR-100, ")
    assert [(row[0], str(row[1]), row[2], row[3]) for row in largest.rows] == [
        ("SLA, aggregated (AG)", "+37.50 ± 17.68", 25, Figure(37.5, signed=True, digits=1)),
        ("SLA, single (SI)", "+12.50 ± 17.68", 25, Figure(21.9, signed=True, digits=1)),
    ]


def test_the_picture(tmp_path: Path, root: Path) -> None:
    draw_gains(tmp_path / "two.png", gains_of(root), "a title")
    assert colors_of(tmp_path / "two.png") == set(COLORS[:2])
    draw_gains(tmp_path / "one.png", [Gains("SLA", "single", {25: (0.1,)})], "")  # one n, one seed: nothing to spread
    assert colors_of(tmp_path / "one.png") == set(COLORS[:1])
    assert imread(tmp_path / "one.png").shape == imread(tmp_path / "two.png").shape


def test_a_run_that_is_not_finished_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    baseline(tmp_path / "baseline", 5, 0, 0.4)
    run = method(tmp_path / "run", 5, 0, 0.5, 0.5)
    checkpoint.save_checkpoint(run.last, {}, {"step": 30, "steps": 90})
    figure4([str(tmp_path)], LimitedData(output=str(tmp_path / "gains.png")))
    assert f"{run.path}: not finished, 30 of 90 steps" in capsys.readouterr().out.replace("\n", "")


def test_what_has_no_partner(tmp_path: Path, root: Path) -> None:
    with pytest.raises(UserError, match=r"seed1: there is no run of Baseline with 50 training images a class and seed"):
        gains_of(root / "base_n25", root / "sla_n25", root / "sla_n50")
    with pytest.raises(UserError, match=r"seed1: there is no run of SLA with 50 training images a class and seed 1$"):
        gains_of(root / "base_n25", root / "base_n50", root / "sla_n25")
    with pytest.raises(
        UserError, match=r"needs runs of Baseline and of another objective, tested; there are runs of S"
    ):
        gains_of(root / "sla_n25")
    baseline(tmp_path / "twin", 50, 1, 0.5)
    with pytest.raises(
        UserError,
        match=r"another run of Baseline has 50 training images a class and seed 1 too \(.*seed1\); leave one out$",
    ):
        gains_of(root, tmp_path / "twin")


def test_what_cannot_be_compared(tmp_path: Path, root: Path) -> None:
    sla = root / "sla_n50"
    other = baseline(tmp_path / "other", 50, 1, 0.5, shade=9)
    with pytest.raises(UserError, match=r"were tested on different images \(made and made\); a gain needs the same$"):
        gains_of(other.path, sla)
    for name, value, message in (("steps", 3, "for another number of steps"), ("fingerprint", "f", "on other images")):
        changed = baseline(tmp_path / name, 50, 1, 0.5)
        tensors, state = checkpoint.load_checkpoint(changed.best)
        checkpoint.save_checkpoint(changed.best, tensors, {**state, name: value})
        with pytest.raises(UserError, match=rf"was trained {message} than .*{name}; a gain needs the same$"):
            gains_of(changed.path, sla)
    uneven = made_up_run(tmp_path / "uneven", counts=[5, 3], accuracies={"single": [1, 1]}, primary="single")
    with pytest.raises(UserError, match=r"its classes have 3 to 5 training images; this figure needs as many of every"):
        gains_of(uneven.path)
    untested = made_up_run(tmp_path / "untested", counts=[50] * 3)
    with pytest.raises(UserError, match=r"no results yet; run python -m fewshot_sla\.test .*untested$"):
        gains_of(untested.path)
    with pytest.raises(UserError, match=r"no results on the val split; run python -m fewshot_sla\.test .* --split val"):
        gains_of(root, split="val")
    zero = baseline(tmp_path / "zero", 50, 1, 0.0)
    with pytest.raises(UserError, match=r"zero: its accuracy is 0, so that nothing can be said of a relative gain$"):
        gains_of(zero.path, sla)
    meta = made_up_run(tmp_path / "meta", program="meta_train")
    with pytest.raises(UserError, match=r"this plot is of runs of python -m fewshot_sla\.train, and this is none$"):
        gains_of(meta.path)
    seedless = baseline(tmp_path / "seedless", 50, 1, 0.5)
    seedless.config.write_text("objective: x\n")
    with pytest.raises(UserError, match=r"seed and objective of the run cannot be read \('seed'\)$"):
        gains_of(seedless.path)
    with pytest.raises(UserError, match=r"nowhere: there is no such folder; give the run folder of a finished"):
        gains_of(tmp_path / "nowhere")
