"""The companion wing: classifiers, what they are trained on (Baseline, DA, MT, SLA, SLA+SD), how they are tested."""

from fewshot_sla.classification.classifier import Classifier, NormalizedLinear
from fewshot_sla.classification.objectives import DA, MT, SLA, SLASD, Baseline, ClassificationObjective

__all__ = ["DA", "MT", "SLA", "SLASD", "Baseline", "ClassificationObjective", "Classifier", "NormalizedLinear"]
