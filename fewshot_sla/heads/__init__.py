"""What fits the support features of an episode and scores its queries: a pure function and a thin module a file."""

from fewshot_sla.heads.base import Head, ScaledHead, check_support_labels
from fewshot_sla.heads.cosine import CosineHead
from fewshot_sla.heads.feat import FEATHead
from fewshot_sla.heads.frn import FRNHead
from fewshot_sla.heads.gradient import GradientHead
from fewshot_sla.heads.logistic import LogisticRegressionHead
from fewshot_sla.heads.maps import MapHead
from fewshot_sla.heads.matching import MatchingHead
from fewshot_sla.heads.normalized import NormalizedHead
from fewshot_sla.heads.protonet import ProtoNetHead
from fewshot_sla.heads.r2d2 import R2D2Head
from fewshot_sla.heads.relation import RelationHead
from fewshot_sla.heads.ridge import RidgeHead
from fewshot_sla.heads.svm import SVMHead

__all__ = [
    "CosineHead",
    "FEATHead",
    "FRNHead",
    "GradientHead",
    "Head",
    "LogisticRegressionHead",
    "MapHead",
    "MatchingHead",
    "NormalizedHead",
    "ProtoNetHead",
    "R2D2Head",
    "RelationHead",
    "RidgeHead",
    "SVMHead",
    "ScaledHead",
    "check_support_labels",
]
