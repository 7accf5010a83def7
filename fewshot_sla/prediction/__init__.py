"""Pictures of one's own: a few labelled images in, the classes of others out, without training."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fewshot_sla.prediction.classifier import FewShotClassifier

__all__ = ["FewShotClassifier"]


def __getattr__(name: str) -> Any:
    """FewShotClassifier when it is asked for: it needs scikit-learn, and the rest of this room does not."""
    if name == "FewShotClassifier":
        from fewshot_sla.prediction.classifier import FewShotClassifier

        return FewShotClassifier
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
