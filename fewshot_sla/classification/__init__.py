"""The companion wing: classifiers, what they are trained on (Baseline, DA, MT, SLA, SLA+SD), how they are tested."""

from fewshot_sla.classification.classifier import Classifier, NormalizedLinear
from fewshot_sla.classification.label_losses import LDAM, BalancedSoftmax, CrossEntropy, LabelLoss, LogitAdjustment
from fewshot_sla.classification.objectives import DA, MT, SLA, SLASD, Baseline, ClassificationObjective
from fewshot_sla.classification.reweighting import ClassBalanced, NoReweighting, Reweighting

__all__ = [
    "DA",
    "LDAM",
    "MT",
    "SLA",
    "SLASD",
    "BalancedSoftmax",
    "Baseline",
    "ClassBalanced",
    "ClassificationObjective",
    "Classifier",
    "CrossEntropy",
    "LabelLoss",
    "LogitAdjustment",
    "NoReweighting",
    "NormalizedLinear",
    "Reweighting",
]
