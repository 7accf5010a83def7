"""Outcomes of tests written down by hand: what of them goes to a run folder is known to the last digit.

``saved/`` beside this file has the folders that the program wrote of them before both wings shared one record.
"""

from pathlib import Path

import torch

from episodes.episode import EpisodeSpec
from episodes.images.labelled import LabelledImages
from fewshot_sla.classification.predictions import Predictions
from fewshot_sla.meta.protocol import EpisodeOutcomes

SAVED = Path(__file__).parent / "saved"
SPEC = EpisodeSpec(n_way=3, k_shot=1, n_query=4)
SEED, STEP = 7, 40
DETAILS = {
    "configuration": {"seed": 0, "objective": {"class_path": "fewshot_sla.meta.SLA"}},
    "versions": {"python": "3.11.7", "torch": "2.5.0"},
    "device": {"type": "cpu", "name": "x86_64", "precision": "32-true", "processes": 1, "threads": 1},
}
CLASS_COUNTS = [120, 20, 5, 5]


def images(split: str = "test") -> LabelledImages:
    """Twelve images of four classes, named "made-up/SPLIT"."""
    pixels = torch.arange(48, dtype=torch.uint8).reshape(12, 1, 2, 2)
    names = ("ash", "beech", "cedar, Atlas", "Föhre")
    return LabelledImages(pixels, torch.arange(4).repeat_interleave(3), names, f"made-up/{split}")


def outcomes(episodes: int = 3) -> dict[str, EpisodeOutcomes]:
    """Outcomes of up to three episodes by two inferences."""
    classes = torch.tensor([[0, 1, 2], [3, 2, 0], [1, 3, 0]])[:episodes]
    single = torch.tensor([[4, 0, 1], [2, 2, 3], [4, 4, 3]])[:episodes]
    aggregated = torch.tensor([[4, 3, 1], [2, 4, 3], [4, 4, 4]])[:episodes]
    return {
        "single": EpisodeOutcomes(single, classes, SPEC.n_query),
        "aggregated": EpisodeOutcomes(aggregated, classes, SPEC.n_query),
    }


def predictions() -> Predictions:
    """Logits of the twelve images by two inferences, whose softmax is 0.625 or 0.125: 9 and 10 of them are right."""
    labels = images().labels
    found = {}
    for name, wrong in (("single", (1, 5, 9)), ("aggregated", (1, 9))):
        guesses = labels.clone()
        guesses[list(wrong)] = (guesses[list(wrong)] + 1) % 4
        rows = torch.full((12, 4), 0.125)
        rows[torch.arange(12), guesses] = 0.625
        found[name] = rows.log().unsqueeze(1)
    return Predictions(labels, found)
