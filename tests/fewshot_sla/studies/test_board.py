"""What a driver makes of files that are damaged: it says so in one line, and does not end."""

from pathlib import Path

import pytest

from fewshot_sla.classification.kind import CLASSIFICATION
from fewshot_sla.studies.board import Board
from fewshot_sla.studies.plan import StudyPlan, trainings_of


@pytest.mark.parametrize("text", [b"", b"- a", b"a: [", b"\xff\xfe\0", b"loop: 3"])
def test_a_cell_with_a_damaged_configuration_is_given_up(
    text: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = StudyPlan(trainings_of(["digits+baseline", "digits+sla"]), (0,), tmp_path)
    spoilt, other = plan.cells()
    spoilt.folder.path.mkdir(parents=True)
    for path, content in ((spoilt.folder.config, text), (spoilt.folder.last, b""), (spoilt.folder.results, b"{}")):
        path.write_bytes(content)
    board = Board(CLASSIFICATION, "test", "now", plan.cells())
    assert (board.open, [failure.cell for failure in board.failures]) == ([other], [spoilt])
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("metrics", "config"),
    [
        (b"step,a\nx,1\n", b"loop: {steps: 9}"),
        (b"a\n1\n", b""),
        (b"\xff\0", b""),
        (b"step\n3\n", b"- a"),
        (b"step\n3\n", b"loop: {steps: 0}"),
    ],
)
def test_a_share_that_files_do_not_tell_is_none(metrics: bytes, config: bytes, tmp_path: Path) -> None:
    plan = StudyPlan(trainings_of(["digits+sla"]), (0,), tmp_path)
    folder = plan.cells()[0].folder
    folder.path.mkdir(parents=True)
    folder.metrics.write_bytes(metrics)
    folder.config.write_bytes(config)
    assert Board(CLASSIFICATION, "test", "now", plan.cells()).share() == 0
