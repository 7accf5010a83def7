"""What fits the support features of an episode and scores its queries: a pure function and a thin module a file."""

from fewshot_sla.heads.base import Head, ScaledHead, check_support_labels
from fewshot_sla.heads.protonet import ProtoNetHead
from fewshot_sla.heads.ridge import RidgeHead
from fewshot_sla.heads.svm import SVMHead

__all__ = ["Head", "ProtoNetHead", "RidgeHead", "SVMHead", "ScaledHead", "check_support_labels"]
