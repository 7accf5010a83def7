"""The formulas of the papers in plain Python, one number at a time: what the losses are compared with."""

import math
from collections.abc import Callable, Sequence

Row = Sequence[float]
# (logits of one row as the layer gives them, right label, images of each label) -> loss of the row
RowLoss = Callable[[Row, int, Row], float]


def cross_entropy(row: Row, label: int, counts: Row) -> float:
    return -math.log(math.exp(row[label]) / sum(math.exp(value) for value in row))


def balanced_softmax(row: Row, label: int, counts: Row) -> float:
    """Ren et al. 2020, theorem 1: phi_y = n_y e^(eta_y) / sum_i n_i e^(eta_i)."""
    terms = [n * math.exp(value) for n, value in zip(counts, row, strict=True)]
    return -math.log(terms[label] / sum(terms))


def logit_adjusted(tau: float) -> RowLoss:
    """Menon et al. 2021, eq. 10: -log( e^(f_y + tau log pi_y) / sum_y' e^(f_y' + tau log pi_y') )."""

    def loss(row: Row, label: int, counts: Row) -> float:
        prior = [n / sum(counts) for n in counts]
        terms = [math.exp(value + tau * math.log(pi)) for value, pi in zip(row, prior, strict=True)]
        return -math.log(terms[label] / sum(terms))

    return loss


def ldam(max_margin: float, scale: float) -> RowLoss:
    """Cao et al. 2019, section 3.2: -log( e^(z_y - D_y) / (e^(z_y - D_y) + sum_(j != y) e^(z_j)) ), z = s cos.

    D_y = s C / n_y^(1/4), and C makes the largest of C / n_y^(1/4) the max_margin.
    """

    def loss(row: Row, label: int, counts: Row) -> float:
        c = max_margin / max(1 / n**0.25 for n in counts)
        right = math.exp(scale * (row[label] - c / counts[label] ** 0.25))
        others = sum(math.exp(scale * value) for j, value in enumerate(row) if j != label)
        return -math.log(right / (right + others))

    return loss


def class_balanced(counts: Row, beta: float) -> list[float]:
    """Cui et al. 2019, section 4: 1 / E_n with E_n = (1 - beta^n) / (1 - beta), normalised to sum to their number."""
    inverse = [(1 - beta) / (1 - beta**n) for n in counts]
    return [value * len(counts) / sum(inverse) for value in inverse]


def weighted_mean(
    row_loss: RowLoss, rows: Sequence[Row], labels: Sequence[int], counts: Row, weights: Row | None = None
) -> float:
    weights = [1.0] * len(counts) if weights is None else weights
    total = sum(weights[y] * row_loss(row, y, counts) for row, y in zip(rows, labels, strict=True))
    return total / sum(weights[y] for y in labels)


def softmax(row: Row) -> list[float]:
    terms = [math.exp(value) for value in row]
    return [term / sum(terms) for term in terms]


def kullback_leibler(p: Row, q: Row) -> float:
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


def aggregated(joint: Sequence[Row], n: int) -> list[float]:
    """Lee et al. 2020, eq. 4, before its softmax: s_y = 1/M sum_j w_yj' f(x_j), and (y, j) is number y * M + j."""
    m = len(joint)
    return [sum(joint[j][y * m + j] for j in range(m)) / m for y in range(n)]
