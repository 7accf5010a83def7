"""Whatever maps an episode to query logits."""

from fewshot_sla.learners.base import MetaLearner
from fewshot_sla.learners.embedding import EmbeddingLearner
from fewshot_sla.learners.maml import MAML

__all__ = ["MAML", "EmbeddingLearner", "MetaLearner"]
