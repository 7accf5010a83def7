"""Whatever maps an episode to query logits, or an image to class logits."""

from fewshot_sla.learners.base import MetaLearner
from fewshot_sla.learners.classifier import Classifier, NormalizedLinear, check_layers
from fewshot_sla.learners.embedding import EmbeddingLearner
from fewshot_sla.learners.maml import MAML

__all__ = ["MAML", "Classifier", "EmbeddingLearner", "MetaLearner", "NormalizedLinear", "check_layers"]
