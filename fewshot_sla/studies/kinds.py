"""Both kinds of training by the name of their wing, for programs that serve either."""

from typing import Any

from fewshot_sla.classification.kind import CLASSIFICATION
from fewshot_sla.meta.kind import META
from fewshot_sla.runs.checkpoint import load_state
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.training.kind import Kind
from fewshot_sla.training.trained import check_kind

KINDS: dict[str, Kind[Any, Any]] = {kind.wing: kind for kind in (META, CLASSIFICATION)}


def kind_of(folder: RunFolder) -> Kind[Any, Any]:
    """The kind of training that a run is of, as its checkpoint says it.

    Raises:
        UserError: if there is no run, or one of another program.
    """
    folder.require()
    state = load_state(folder.checkpoint)
    for kind in KINDS.values():
        if kind.program == state.get("program"):
            return kind
    check_kind(META, folder, state)  # says what is wrong with it
    raise AssertionError("a run of no kind is refused")
