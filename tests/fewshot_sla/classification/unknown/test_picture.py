"""The histograms: bins over nearly all scores, a panel a score."""

from pathlib import Path

import numpy as np
from PIL import Image

from fewshot_sla.classification.unknown.picture import BINS, common_bins, draw_histograms
from tests.fewshot_sla.classification.unknown.test_results import OF_KNOWN, OF_UNKNOWN, results


def test_bins_hold_both_and_are_not_spread_by_a_single_score() -> None:
    known, unknown = np.linspace(0, 1, 5001), np.append(np.linspace(-1, 0, 5000), 1e6)
    edges = common_bins(known, unknown)
    assert len(edges) == BINS + 1
    assert -1 <= edges[0] < -0.99
    assert 0.99 < edges[-1] <= 1
    same = common_bins(np.ones(3), np.ones(2))
    assert same[0] < 1 < same[-1]


def test_three_scores_stand_in_one_row(tmp_path: Path) -> None:
    draw_histograms(tmp_path / "a.png", [results()[0]] * 3, OF_KNOWN, OF_UNKNOWN)
    with Image.open(tmp_path / "a.png") as image:
        assert image.width > 3 * image.height
