"""A head of one's own: nearest class mean by cosine similarity, with a learned temperature.

Check it, from the root of the checkout (any folder that Python can import from will do)::

    python -m fewshot_sla.check_head examples.my_head.CosineHead

Train with it by naming it in a YAML; nothing needs to be registered::

    head:
      class_path: examples.my_head.CosineHead
      init_args:
        temperature: 10.0
"""

import torch
from torch import Tensor, nn

from fewshot_sla.heads import Head


class CosineHead(Head):
    """Cosine similarity of a query to the mean support direction of each class, times a temperature.

    Args:
        temperature: factor of the similarities at the start; it is learned.
    """

    def __init__(self, temperature: float = 10.0):
        super().__init__()
        self.temperature = nn.Parameter(torch.tensor(temperature))

    def logits(
        self,
        support: Tensor,  # [T, S, D]
        support_labels: Tensor,  # [T, S] int64
        query: Tensor,  # [T, R, D]
        ways: int,
    ) -> Tensor:  # [T, R, ways]
        """Similarities in [-temperature, temperature]."""
        members = nn.functional.one_hot(support_labels, ways).to(support.dtype)  # [T, S, ways]
        directions = nn.functional.normalize(support, dim=-1)
        # A sum points where the mean points, so classes of any size are fine without dividing by their counts.
        centroids = nn.functional.normalize(members.mT @ directions, dim=-1)  # [T, ways, D]
        return self.temperature * (nn.functional.normalize(query, dim=-1) @ centroids.mT)
