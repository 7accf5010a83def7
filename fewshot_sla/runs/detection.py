"""How well scores tell known from unknown: area under the ROC curve, false positives at 95 %, average precision."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

RECALL = 0.95  # share of the known that a threshold lets pass, where false positives are counted


@dataclass(frozen=True)
class Detection:
    """Figures of one score; known is the positive class.

    Attributes:
        auroc: probability that a known image has a larger score than an unknown one; ties count half. 0.5 is chance.
        fpr95: share of the unknown that pass the highest threshold which 95 % of the known pass.
        aupr: average precision ``sum_n (R_n - R_(n-1)) P_n`` of calling an image known; chance is the share of known.
        aupr_unknown: likewise of calling an image unknown.
    """

    auroc: float
    fpr95: float
    aupr: float
    aupr_unknown: float


def detection(
    known: ArrayLike,  # [n] float: scores of images of known classes
    unknown: ArrayLike,  # [m] float: of others
) -> Detection:
    """The figures of one score, larger for the known.

    Raises:
        ValueError: if either is empty, or a score is not finite.
    """
    from sklearn.metrics import average_precision_score, roc_auc_score  # takes a second to import

    positive, negative = _checked(known), _checked(unknown)
    scores = np.concatenate([positive, negative])
    truth = np.repeat([1, 0], [len(positive), len(negative)])
    return Detection(
        auroc=float(roc_auc_score(truth, scores)),
        fpr95=false_positives(positive, negative),
        aupr=float(average_precision_score(truth, scores)),
        aupr_unknown=float(average_precision_score(1 - truth, -scores)),
    )


def false_positives(
    known: NDArray[np.float64],  # [n] scores
    unknown: NDArray[np.float64],  # [m]
    recall: float = RECALL,  # 0..1
) -> float:
    """Share of the unknown that score at least t, the highest threshold with ``#(known >= t) >= recall * n``."""
    passing = int(np.ceil(recall * len(known) - 1e-9))  # 0.95 * 20 is 19, not a rounding error above it
    threshold = np.sort(known)[::-1][max(passing, 1) - 1]
    return float((unknown >= threshold).mean())


def auroc_of_rows(
    known: NDArray[np.float64],  # [E, n] scores of E episodes
    unknown: NDArray[np.float64],  # [E, m]
) -> NDArray[np.float64]:  # [E], 0..1
    """Area under the ROC curve of each episode by itself, by ranks (Mann and Whitney); ties count half."""
    from scipy.stats import rankdata

    n, m = known.shape[1], unknown.shape[1]
    ranks = rankdata(np.concatenate([known, unknown], axis=1), axis=1)
    return np.asarray((ranks[:, :n].sum(axis=1) - n * (n + 1) / 2) / (n * m), dtype=np.float64)


def _checked(scores: ArrayLike) -> NDArray[np.float64]:
    values = np.asarray(scores, dtype=np.float64).ravel()
    if not values.size or not np.isfinite(values).all():
        raise ValueError("scores must be finite numbers, at least one")
    return values
