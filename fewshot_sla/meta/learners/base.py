"""The contract of a meta-learner: it maps an episode to the logits of its queries."""

from abc import ABC, abstractmethod

from torch import Tensor, nn

from episodes.episode import EpisodeBatch


class MetaLearner(nn.Module, ABC):
    """Maps T episodes to query logits [T, R, W]; W is ``episodes.ways``, N or N*M, and the learner need not know which.

    A meta-learner of one's own derives from this class and gives :meth:`forward`. If it has also
    ``embed(images [B, C, H, W]) -> [B, D]`` and an attribute ``head`` (see :class:`fewshot_sla.heads.Head`) and its
    forward is "embed everything, then the head", it derives from
    :class:`fewshot_sla.meta.EmbeddingLearner`, and evaluation embeds every image only once.
    """

    @abstractmethod
    def forward(
        self,
        episodes: EpisodeBatch,  # support [T, S, C, H, W], query [T, R, C, H, W], normalised floats
    ) -> Tensor:  # [T, R, W] float32
        """Logits of every query for every class."""

    def calibrate(self, episodes: EpisodeBatch) -> None:
        """Adapt."""
