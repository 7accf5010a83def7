"""``python -m fewshot_sla.plot`` on real runs, and its errors."""

from pathlib import Path

import pytest
from matplotlib.image import imread

from fewshot_sla import plot, test, train
from fewshot_sla.cli.door import run_door
from tests.integration import doors

TINY = (
    "--backbone.channels=4",
    "--batch_size=8",
    "--loop.steps=2",
    "--loop.validate_every=1",
    "--loop.log_every=1",
    "--accelerator=cpu",
)

LOOKS_AT_PICTURES = True
OBJECTIVES = {
    "baseline": ("--objective=fewshot_sla.classification.Baseline",),
    "sla": (),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Two runs of train, tested, and one of meta_train."""
    root = tmp_path_factory.mktemp("runs")
    for name, options in OBJECTIVES.items():
        folder = root / name / "seed0"
        assert run_door(train.main, [*TINY, *options, f"--run_folder={folder}"]) == 0
        assert run_door(test.main, [str(folder), "--accelerator=cpu"]) == 0
    assert doors.train(root / "meta" / "seed0", steps=2) == 0
    return {name: str(root / name / "seed0") for name in (*OBJECTIVES, "meta")}


def draw(*arguments: str) -> int:
    return run_door(plot.main, list(arguments))


def test_every_kind_of_plot(runs: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of what both doors really write."""
    commands = {
        "curves": ["curves", *runs.values()],
        "training": ["curves", *runs.values(), "--accuracy=training"],
        "classes": ["classes", runs["baseline"], runs["sla"]],
        "single": ["classes", runs["baseline"], runs["sla"], "--inference=single", "--split=test"],
    }
    sizes = set()
    for name, command in commands.items():
        output = tmp_path / "new" / f"{name}.png"
        assert draw(*command, f"--output={output}") == 0
        assert f"{name}.png" in capsys.readouterr().out.replace("\n", "")
        sizes.add((output.stat().st_size, imread(output).shape))
    assert len(sizes) == len(commands)  # each option changes the picture


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["bars"], "no such kind of plot: 'bars'; choose from curves, classes"),
        (["curves"], "runs"),
        (["curves", "nowhere"], "nowhere: there is no such folder; give the run folder of a finished"),
        (["curves", "RUN", "--accuracy=test"], "--accuracy must be validation or training, got 'test'"),
        (["curves", "RUN", "--output=curves"], "--output curves: give a file name that ends in .png, .svg or .pdf"),
        (["curves", "RUN", "RUN"], "the run is given twice"),
        (["classes", "META"], "this plot is of runs of python -m fewshot_sla.train, and this is none"),
        (["classes", "RUN", "--split=val", "--inference=distilled"], "no results by distilled; there are single"),
        (["classes", "RUN", "--colour=red"], "unknown key 'colour'"),
    ],
)
def test_errors_are_one_line(
    arguments: list[str], message: str, runs: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    places = {"RUN": runs["baseline"], "META": runs["meta"]}
    assert draw(*(places.get(word, word) for word in arguments)) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("error: ")
    assert error.count("\n") == 1


def test_help_names_the_kinds(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["--help"], ["-h"]):
        assert draw(*arguments) == 0
        out = capsys.readouterr().out
        assert all(f"\n  {kind} " in out for kind in plot.KINDS)
    with pytest.raises(SystemExit, match=r"^0$"):
        draw("classes", "--help")
    assert "--inference" in capsys.readouterr().out
