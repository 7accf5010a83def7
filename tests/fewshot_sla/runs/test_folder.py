"""What a new run in the folder of an old one removes, and what it leaves."""

from pathlib import Path

from fewshot_sla.runs.folder import RunFolder, write_text


def test_a_run_that_is_begun_anew_forgets_results_and_snapshots(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    mine = tmp_path / "snapshots" / "step_of_mine.safetensors"
    for path in (folder.results, folder.snapshot_accuracies, folder.snapshot(20), folder.snapshot(3), mine):
        write_text(path, "x")
    assert folder.snapshot_steps() == [3, 20]
    folder.forget()
    assert folder.snapshot_steps() == []
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [mine]
    folder.forget()  # nothing is left to be forgotten
