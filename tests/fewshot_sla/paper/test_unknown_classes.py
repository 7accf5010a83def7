"""The published figures beside measured ones: for CIFAR-10 alone."""

from fewshot_sla.paper.unknown_classes import leaderboard_note


def test_the_four_figures_of_the_page() -> None:
    for against, figure in {"svhn": "89.1", "lsun": "90.7", "imagenet": "89.8", "cifar100": "83.6"}.items():
        assert f"AUROC {figure} (" in leaderboard_note("cifar10", against)
        assert leaderboard_note("cifar100", against) == ""
    assert leaderboard_note("cifar10-limited50", "svhn")
    assert leaderboard_note("cifar10", "mnist") == ""
