"""One-line remarks on what the user may not have noticed."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from fewshot_sla.prediction.folders import Pictures, same_files
from fewshot_sla.prediction.leave_one_out import LeftOut
from fewshot_sla.prediction.predictor import Predictor

TRANSDUCTIVE = (
    "the model is transductive: a picture's answer depends on the others that were asked with it, and how often "
    "support pictures are recognised was not measured"
)


def remarks_on_equals(predictor: Predictor, queries: Pictures) -> list[str]:
    """Queries that are in the support too, and equal pictures in the support."""
    notes = []
    names = predictor.names
    same = same_files([Path(name) for name in names], queries.paths)
    if same:
        query, support = same[0]
        notes.append(f"{query} is the support picture {support}{_more(same)}: its prediction says nothing")

    labels = predictor.labels.tolist()
    first_with: dict[bytes, int] = {}
    pairs = []
    for row, picture in enumerate(predictor.pictures.numpy()):
        first = first_with.setdefault(_digest(picture), row)
        if first != row:
            pairs.append((first, row))
    if pairs:
        pairs.sort(key=lambda pair: labels[pair[0]] == labels[pair[1]])  # contradictions first
        first, row = pairs[0]
        so = "leave-one-out flatters" if labels[first] == labels[row] else "they are in two classes"
        notes.append(f"{names[first]} and {names[row]} are the same picture{_more(pairs)}: {so}")

    known = {query for query, _ in same}
    equal = [
        (path, first_with[digest])
        for path, picture in zip(queries.paths, queries.pixels, strict=True)
        if path not in known and (digest := _digest(picture)) in first_with
    ]
    if equal:
        path, row = equal[0]
        notes.append(f"{path} is the same picture as {names[row]} in the support{_more(equal)}")
    return notes


def remarks_on_left_out(predictor: Predictor, left_out: LeftOut) -> list[str]:
    """What of the support set was not measured."""
    if predictor.model.learner.transductive:
        return [TRANSDUCTIVE]
    notes = []
    counts = torch.bincount(predictor.labels, minlength=len(predictor.classes))
    alone = [str(predictor.classes[label]) for label in (counts == 1).nonzero().flatten().tolist()]
    if len(alone) == 1:
        notes.append(f"the class {alone[0]} has a single picture, which cannot be left out: not measured")
    elif alone:
        names = ", ".join(alone[:3]) + (", ..." if len(alone) > 3 else "")
        notes.append(f"{len(alone)} classes have a single picture, which cannot be left out: not measured ({names})")
    if len(left_out.rows) < left_out.eligible:
        notes.append(
            f"leave-one-out was measured on {len(left_out.rows)} of {left_out.eligible} pictures, drawn at random"
        )
    return notes


def _digest(picture: NDArray[np.uint8]) -> bytes:
    return hashlib.sha256(np.ascontiguousarray(picture).data).digest()


def _more(found: Sequence[object]) -> str:
    return f" (and {len(found) - 1} more)" if len(found) > 1 else ""
