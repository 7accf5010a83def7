"""Pictures of one's own: a few labelled images in, the classes of others out, without training."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fewshot_sla.prediction.classifier import FewShotClassifier
    from fewshot_sla.prediction.foreign import ForeignNetwork

__all__ = ["FewShotClassifier", "ForeignNetwork"]


def __getattr__(name: str) -> Any:
    """What is exported, when it is asked for: FewShotClassifier needs scikit-learn, the rest of this room does not."""
    modules = {"FewShotClassifier": "classifier", "ForeignNetwork": "foreign"}
    if name in modules:
        return getattr(importlib.import_module(f"{__name__}.{modules[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
