"""The inferences of the paper, and what tables and figures call them."""

from episodes.labelling import identity_labelling, joint_labelling, repeated_labelling
from fewshot_sla.inference.by_view import class_logits, conditional_logits, image_logits
from fewshot_sla.inference.inference import Inference, of_views

# One view, one class layer (or a plain episode): the baseline, DA, and SLA+SD's distilled classifier.
CLASS_SINGLE = Inference(identity_labelling, image_logits)
# Test-time augmentation: all views (of an episode: all copies in the support too), the mean class logits.
CLASS_AGGREGATED = Inference(repeated_labelling, class_logits)
# SLA+AG: the mean over all views of the logits given the transformation; Lee et al., ICML 2020, eq. 4.
JOINT_AGGREGATED = Inference(joint_labelling, conditional_logits)
# SLA+SI: the same from the untransformed view alone.
JOINT_SINGLE = of_views(JOINT_AGGREGATED, [0])

_TITLES = {"single": "single (SI)", "aggregated": "aggregated (AG)", "distilled": "distilled (SD)"}


def inference_title(name: str) -> str:
    """What tables and figures call an inference; one that is not the paper's by its own name.

    >>> inference_title("aggregated")
    'aggregated (AG)'
    """
    return _TITLES.get(name, name)
