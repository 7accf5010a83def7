"""Whatever maps an episode to the logits of its queries: one learner a file."""

from fewshot_sla.meta.learners.base import MetaLearner, WithLoss
from fewshot_sla.meta.learners.embedding import EmbeddingLearner
from fewshot_sla.meta.learners.maml import MAML

__all__ = ["MAML", "EmbeddingLearner", "MetaLearner", "WithLoss"]
