"""What a public page gives for telling unknown images from those of CIFAR-10, as a note beside measured figures."""

import re

from fewshot_sla.paper.published import published

_TABLE = "leaderboard, out-of-distribution detection"
_KNOWN = re.compile(r"cifar10(-|$)")  # and parts of it: cifar10-limited25


def leaderboard_note(
    known: str,  # name of the data set with the known images
    against: str,  # name of the other one
) -> str:
    """One line; empty where nothing is published.

    >>> leaderboard_note("cifar10", "svhn")[:60]
    'Published for CIFAR-10 against SVHN: AUROC 89.1 (a public le'
    """
    if not _KNOWN.match(known):
        return ""
    cell = next((cell for cell in published() if cell.table == _TABLE and _plain(cell.row) == _plain(against)), None)
    if cell is None:
        return ""
    return (
        f"Published for CIFAR-10 against {cell.row}: AUROC {cell.value:.{cell.digits}f} ({cell.source}; network, score "
        "and data are not named)."
    )


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
