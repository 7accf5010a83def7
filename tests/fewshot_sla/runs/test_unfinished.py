"""How far a run has come, as its last checkpoint tells it."""

from pathlib import Path

import torch

from fewshot_sla.runs.checkpoint import save_checkpoint
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.runs.unfinished import unfinished


def test_a_run_that_stopped_says_so_and_one_that_cannot_be_told_keeps_nobody_from_its_figures(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert unfinished(folder) == ""
    save_checkpoint(folder.last, {"weight": torch.zeros(2)}, {"step": 3, "steps": 8})
    assert unfinished(folder).startswith(f"{tmp_path}: not finished, 3 of 8 steps; ")
    save_checkpoint(folder.last, {"weight": torch.zeros(2)}, {"step": 8, "steps": 8})
    assert unfinished(folder) == ""
    folder.last.write_bytes(folder.last.read_bytes()[:20])
    said = unfinished(folder)
    assert said.startswith(f"{tmp_path}: finished or not, that cannot be told: {folder.last}: the checkpoint is ")
    assert "\n" not in said
