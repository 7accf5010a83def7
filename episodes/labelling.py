"""What the M views of an image are labelled as: by class and view, by class, or only the image itself.

A labelling turns views into ordinary labelled rows: an episode of views into an episode (N-way K-shot into NM-way
K-shot), the targets of a batch into those of its views. It only moves rows about and does not care whether an item is
an image, its features or its logits.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from episodes.episode import EpisodeBatch
from episodes.labels import flatten_pairs, joint_label
from episodes.targets import Targets


class Labelling(ABC):
    """Which of the M views of an image become rows, and the label of each.

    A labelling of one's own gives :meth:`label`, :meth:`rows` if it does not keep all views, and :meth:`per_label` if
    its labels are not the classes. ``labelling(episodes)`` then works by itself.

    Attributes:
        output: name of the classifier's output that scores these labels: "class" (N) or "joint" (N*M).
    """

    output: ClassVar[str] = "class"

    def __call__(
        self,
        episodes: EpisodeBatch,  # items [T, S, M, *item] and [T, R, M, *item], labels 0..N-1
    ) -> EpisodeBatch:  # items [T, S', *item] and [T, R', *item], labels 0..W-1
        """An episode of views as an ordinary episode."""
        m = episodes.support.shape[2]
        return EpisodeBatch(
            self.rows(episodes.support, 1),
            self.targets(Targets(episodes.support_labels), m).labels,
            self.rows(episodes.query, 1),
            self.targets(episodes.query_targets, m),
            self.ways(episodes.ways, m),
        )

    @abstractmethod
    def label(
        self,
        labels: Tensor,  # [...] int64, 0..N-1
        m: int,
    ) -> Tensor:  # [..., V] int64, 0..W-1
        """Labels of the V views that are kept."""

    def rows(
        self,
        views: Tensor,  # [..., R, M, *item]: axis `dim` is the image, the next one the view
        dim: int,
    ) -> Tensor:  # [..., R * V, *item]
        """The views that are kept, as rows in joint-label order."""
        return flatten_pairs(views, dim)

    def per_label(
        self,
        values: Tensor,  # [N]: of each class, for instance how many images it has
        m: int,
    ) -> Tensor:  # [W]
        """What is so for a class, for each label: for all labels of a class the same."""
        return values

    def ways(self, classes: int, m: int) -> int:
        """W, how many labels there are for N classes."""
        return len(self.per_label(torch.empty(classes, device="meta"), m))

    def targets(
        self,
        targets: Targets,  # [..., R]
        m: int,
    ) -> Targets:  # [..., R * V]
        """Targets of the rows; a mixture of two images has in every view the labels of both, in the same shares."""
        by_view = targets.relabelled(lambda labels: self.label(labels, m))
        return by_view.each(lambda part: flatten_pairs(part, part.ndim - 2))


class IdentityLabelling(Labelling):
    """Only the image itself (view 0) is kept: N ways, K shots."""

    def label(self, labels: Tensor, m: int) -> Tensor:
        """Its class."""
        return labels.unsqueeze(-1)

    def rows(self, views: Tensor, dim: int) -> Tensor:
        """View 0."""
        return views.select(dim + 1, 0)


class RepeatedLabelling(Labelling):
    """Every view keeps the class of its image: N ways, K*M shots (data augmentation, Lee et al., ICML 2020, eq. 2)."""

    def label(self, labels: Tensor, m: int) -> Tensor:
        """The class, M times."""
        return labels.unsqueeze(-1).expand(*labels.shape, m)


class JointLabelling(Labelling):
    """Every view is an item of the class (y, j): N*M ways, K shots (Lee et al., ICML 2020, eq. 3)."""

    output = "joint"

    def label(self, labels: Tensor, m: int) -> Tensor:
        """Class and transformation."""
        return joint_label(labels.unsqueeze(-1), torch.arange(m, device=labels.device), m)

    def per_label(self, values: Tensor, m: int) -> Tensor:
        """M times each: every image of a class has every view, so ``n_(y,j) = n_y``."""
        return flatten_pairs(values.unsqueeze(-1).expand(-1, m), dim=0)


identity_labelling = IdentityLabelling()
repeated_labelling = RepeatedLabelling()
joint_labelling = JointLabelling()
