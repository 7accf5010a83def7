"""Small few-shot problems of known structure, on which the conformance checks try a head."""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor

from fewshot_sla.backbones.shape import FeatureShape
from fewshot_sla.heads.base import Head


@dataclass(frozen=True)
class HeadProblem:
    """What a head is given, and the labels it should find."""

    support: Tensor  # [T, S, D]
    labels: Tensor  # [T, S] int64
    query: Tensor  # [T, R, D]
    query_labels: Tensor  # [T, R] int64
    ways: int

    @property
    def arguments(self) -> tuple[Tensor, Tensor, Tensor, int]:
        """What a head is called with."""
        return self.support, self.labels, self.query, self.ways

    def stack(self, other: "HeadProblem") -> "HeadProblem":
        """Both problems' episodes in one batch."""
        return HeadProblem(
            torch.cat([self.support, other.support]),
            torch.cat([self.labels, other.labels]),
            torch.cat([self.query, other.query]),
            torch.cat([self.query_labels, other.query_labels]),
            self.ways,
        )

    def to(self, dtype: torch.dtype) -> "HeadProblem":
        """The same problem with features in another dtype."""
        return HeadProblem(self.support.to(dtype), self.labels, self.query.to(dtype), self.query_labels, self.ways)


def class_mean_problem(
    device: torch.device,
    *,
    episodes: int = 3,
    ways: int = 5,
    shots: tuple[int, ...] | None = None,
    queries: int = 10,
    dimension: int = 32,
    spread: float = 0.3,
    seed: int = 0,
) -> HeadProblem:  # float32
    """Features scattered about one random mean a class, shuffled rows: like those of a trained backbone.

    Args:
        device: where the tensors live.
        episodes: T.
        ways: W.
        shots: support rows of each class; 5 of each by default.
        queries: R.
        dimension: D.
        spread: deviation from the mean; the means' own entries have deviation 1.
        seed: of a generator of its own, on the CPU, so that every device sees the same problem.
    """
    generator = torch.Generator().manual_seed(seed)
    means = torch.randn(episodes, ways, dimension, generator=generator)
    labels = torch.arange(ways).repeat_interleave(torch.tensor(shots or (5,) * ways))
    orders = torch.rand(episodes, len(labels), generator=generator).argsort(-1)
    labels = labels[orders]
    query_labels = torch.randint(ways, (episodes, queries), generator=generator)

    def features(of: Tensor) -> Tensor:
        centres = means.gather(1, of[..., None].expand(-1, -1, dimension))
        return centres + spread * torch.randn(centres.shape, generator=generator)

    return HeadProblem(
        features(labels).to(device), labels.to(device), features(query_labels).to(device), query_labels.to(device), ways
    )


@dataclass(frozen=True)
class Trial:
    """A head, and what it is tried on.

    Attributes:
        made: the head as it came from its constructor; it is copied, never changed.
        device: where it is tried.
        features: shape of the features of every problem; None for vectors of the size that the problem asks for.
    """

    made: Head
    device: torch.device
    features: FeatureShape | None = None

    def problem(
        self,
        *,
        episodes: int = 3,
        ways: int = 5,
        shots: tuple[int, ...] | None = None,
        queries: int = 10,
        dimension: int = 32,
        seed: int = 0,
    ) -> HeadProblem:
        """A :func:`class_mean_problem` of features of the right size."""
        numbers = self.features.numbers if self.features else dimension
        sizes = {"episodes": episodes, "ways": ways, "queries": queries, "dimension": numbers, "seed": seed}
        return class_mean_problem(self.device, shots=shots, **sizes)

    def head(self, problem: HeadProblem, dtype: torch.dtype = torch.float32) -> Head:
        """A copy of the head in evaluation mode, told the problem's features; its weights are the same each time."""
        head = copy.deepcopy(self.made)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            head.told(self.features or FeatureShape(problem.support.shape[-1]))
        return head.to(self.device, dtype).eval()

    def logits(self, problem: HeadProblem, dtype: torch.dtype = torch.float32) -> Tensor:  # [T, R, W]
        """What such a copy says to the problem, both in this dtype."""
        return self.head(problem, dtype)(*problem.to(dtype).arguments)
