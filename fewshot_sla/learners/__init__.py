"""Whatever maps an episode to query logits."""

from fewshot_sla.learners.base import MetaLearner
from fewshot_sla.learners.embedding import EmbeddingLearner

__all__ = ["EmbeddingLearner", "MetaLearner"]
