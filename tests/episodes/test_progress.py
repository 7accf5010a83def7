"""Progress without a terminal: a line now and then, with the time that is left."""

import pytest

from episodes.progress import show_progress


def test_a_line_every_ten_seconds_says_what_is_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("episodes.progress.time.monotonic", lambda: now[0])
    with show_progress("training") as on_progress:
        for step in range(1, 41):
            now[0] = float(step)
            on_progress(f"loss {step}", step, 60)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(",")[0] for line in lines] == [f"training: {step}/60" for step in (10, 20, 30, 40)]
    assert lines[1].endswith("loss 20")
    assert "ETA 40 s" in lines[1]  # 19 steps in 19 s since the first report: 40 more take 40 s


def test_what_is_over_before_is_not_spoken_of(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = iter([0.0, 1.0, 11.0, 12.0])
    monkeypatch.setattr("episodes.progress.time.monotonic", lambda: next(now))
    with show_progress("zoo/train: decoding, once") as on_progress:
        for done in (20, 40, 60):
            on_progress("[images]", done, 100)  # no markup
    assert capsys.readouterr() == ("", "zoo/train: decoding, once: 40/100, ETA 30 s  [images]\n")


def test_silent_progress_is_silent(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("episodes.progress.time.monotonic", lambda: now[0])
    with show_progress("training", silent=True) as on_progress:
        now[0] = 60.0
        on_progress("steps", 1, 2)
    assert capsys.readouterr() == ("", "")
