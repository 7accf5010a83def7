"""FEAT: prototypes look at one another before they are compared with queries."""

import torch
from torch import Tensor, nn

from episodes.errors import UserError
from episodes.targets import Targets
from fewshot_sla.backbones.shape import FeatureShape
from fewshot_sla.heads.base import ScaledHead
from fewshot_sla.heads.protonet import class_means, nearest_mean_logits

_LARGEST = 4096  # numbers of a feature; the head has four matrices of as many rows and columns


class SetAttention(nn.Module):
    """One layer of self-attention with one head, with a residual connection, for sets of vectors::

        A = softmax(X Wq (X Wk)' / sqrt(D)),   out = LayerNorm(X + dropout(linear(dropout(A) X Wv)))

    Vaswani et al. 2017 (arXiv 1706.03762), in the form of Ye et al. 2020 (arXiv 1812.03664), section 3.3.

    Args:
        dimension: D.
        dropout: rate behind the linear layer.
        attention_dropout: rate of the attention's weights.
    """

    def __init__(self, dimension: int, dropout: float, attention_dropout: float) -> None:
        super().__init__()
        self.queries, self.keys, self.values = (nn.Linear(dimension, dimension, bias=False) for _ in range(3))
        for layer in (self.queries, self.keys, self.values):
            nn.init.normal_(layer.weight, std=dimension**-0.5)
        self.linear = nn.Linear(dimension, dimension)
        nn.init.xavier_normal_(self.linear.weight)
        self.norm = nn.LayerNorm(dimension)
        self.dropout, self.attention_dropout = nn.Dropout(dropout), nn.Dropout(attention_dropout)

    def forward(
        self,
        rows: Tensor,  # [T, n, D]
        together: Tensor | None = None,  # [T, n, n] bool: which rows see which; all see all by default
    ) -> Tensor:  # [T, n, D]
        """The rows after they have looked at one another."""
        scores = self.queries(rows) @ self.keys(rows).mT / rows.shape[-1] ** 0.5
        if together is not None:
            scores = scores.masked_fill(~together, -torch.inf)
        seen = self.attention_dropout(scores.softmax(-1)) @ self.values(rows)
        return self.norm(rows + self.dropout(self.linear(seen)))


class FEATHead(ScaledHead):
    """FEAT: prototypes, adapted to the episode by :class:`SetAttention`, and the distance of queries to them.

    In training an auxiliary loss asks that what is adapted stays what it was: all rows of a class, support and queries,
    are adapted among themselves, and each row, as it was, must be nearest to the mean of its own class so adapted (by
    cross-entropy of the same logits). Of a mixed query its heavier class counts as its own.

    Ye et al. 2020 (arXiv 1812.03664), section 3.3 and eq. 7. Distances are divided by D, so the scale is D over the
    paper's temperature: 10 for 64 and 640 numbers. The authors keep it, and begin with a trained backbone.

    Args:
        scale: factor of the logits at the start; a calibrated start replaces it.
        learn_scale: whether training changes it.
        auxiliary: weight of the auxiliary loss, 0.01 to 0.1 in the paper; 0 for none.
        dropout: rate of dropout in training behind the attention, 0 to below 1.
        attention_dropout: the same of the attention's weights.

    Raises:
        UserError: if a number is out of range.
    """

    def __init__(
        self,
        scale: float = 10.0,
        learn_scale: bool = True,
        auxiliary: float = 0.1,
        dropout: float = 0.5,
        attention_dropout: float = 0.1,
    ) -> None:
        super().__init__(scale, learn_scale)
        if not 0 <= auxiliary < float("inf"):
            raise UserError(f"FEATHead: auxiliary must be at least 0, got {auxiliary}")
        for name, rate in (("dropout", dropout), ("attention_dropout", attention_dropout)):
            if not 0 <= rate < 1:
                raise UserError(f"FEATHead: {name} must be at least 0 and less than 1, got {rate}")
        self.auxiliary, self.dropout, self.attention_dropout = auxiliary, dropout, attention_dropout

    def build(self, shape: FeatureShape) -> None:
        """Make the attention.

        Raises:
            UserError: features are so long that its matrices would fill the memory.
        """
        if shape.numbers > _LARGEST:
            raise UserError(
                f"FEATHead has four matrices of {shape.numbers} x {shape.numbers} numbers for features {shape}; "
                "average them over their area (pooled: true, for ResNet12)"
            )
        self.attention = SetAttention(shape.numbers, self.dropout, self.attention_dropout)

    def scores(self, support: Tensor, support_labels: Tensor, query: Tensor, ways: int) -> Tensor:
        """Negative squared distances over D to the adapted prototypes.

        Raises:
            UserError: the head was not told the shape of the features.
        """
        if self.shape is None:
            raise UserError("FEATHead was not told the shape of the features; call told(FeatureShape(D))")
        return nearest_mean_logits(self.attention(class_means(support, support_labels, ways)), query)

    def logits_with_loss(
        self, support: Tensor, support_labels: Tensor, query: Tensor, query_targets: Targets, ways: int
    ) -> tuple[Tensor, Tensor | None]:
        """The logits, and the auxiliary loss of all rows."""
        logits = self.logits(support, support_labels, query, ways)
        if not self.auxiliary:
            return logits, None
        rows, labels = torch.cat([support, query], 1), torch.cat([support_labels, query_targets.heavier], 1)
        adapted = self.attention(rows, labels[:, :, None] == labels[:, None])
        again = self.scale * nearest_mean_logits(class_means(adapted, labels, ways), rows)
        return logits, self.auxiliary * nn.functional.cross_entropy(again.flatten(0, 1), labels.flatten())
