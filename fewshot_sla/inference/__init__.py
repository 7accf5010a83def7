"""From logits of views to a prediction: one contract for episodes, batches and pictures, and what inferences there are.

A new inference is one :class:`Inference`, named in the ``inferences`` of an objective.
"""

from fewshot_sla.inference.by_view import class_logits, conditional_logits, image_logits
from fewshot_sla.inference.inference import Inference, mean_over_views, of_views, with_inferences
from fewshot_sla.inference.known import (
    CLASS_AGGREGATED,
    CLASS_SINGLE,
    JOINT_AGGREGATED,
    JOINT_SINGLE,
    inference_title,
)

__all__ = [
    "CLASS_AGGREGATED",
    "CLASS_SINGLE",
    "JOINT_AGGREGATED",
    "JOINT_SINGLE",
    "Inference",
    "class_logits",
    "conditional_logits",
    "image_logits",
    "inference_title",
    "mean_over_views",
    "of_views",
    "with_inferences",
]
