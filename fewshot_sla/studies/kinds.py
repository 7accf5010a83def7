"""Both kinds of training by the name of their wing, for programs that serve either."""

from typing import Any

from fewshot_sla.classification.kind import CLASSIFICATION
from fewshot_sla.meta.kind import META
from fewshot_sla.training.kind import Kind

KINDS: dict[str, Kind[Any, Any]] = {kind.wing: kind for kind in (META, CLASSIFICATION)}
