"""From folders of pictures to a report: what the command does, without its command line."""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from episodes.errors import UserError
from episodes.progress import OnProgress, no_progress
from fewshot_sla.prediction.feature_cache import FeatureCache
from fewshot_sla.prediction.folders import Pictures, read_pictures
from fewshot_sla.prediction.leave_one_out import MOST, NOTHING_LEFT_OUT, LeftOut, confusion, wilson_interval
from fewshot_sla.prediction.model import PredictionModel
from fewshot_sla.prediction.pictures import Framing, exchange
from fewshot_sla.prediction.predictor import Invert, Predictor, PredictorOutput, fit
from fewshot_sla.prediction.remarks import remarks_on_equals, remarks_on_left_out
from fewshot_sla.prediction.report import PredictionReport, QueryPrediction, SupportImage


def fit_files(
    model: PredictionModel,
    files: Mapping[str, Sequence[Path]],
    *,
    inference: str = "",
    framing: Framing = "crop",
    invert: Invert = "auto",
    transductive: bool = False,
    strict: bool = False,
    cache: FeatureCache | None = None,
    on_progress: OnProgress = no_progress,
    notes: Sequence[str] = (),
) -> Predictor:
    """Read a support set and show it to a model; see :func:`fewshot_sla.prediction.predictor.fit`.

    Args:
        model: what is to predict.
        files: the support files of each class.
        inference: how to predict.
        framing: how pictures are fitted into the model's size.
        invert: whether to exchange light and dark.
        transductive: allow that pictures that are asked together sway one another.
        strict: stop at the first file that cannot be read.
        cache: where features are kept from one time to the next.
        on_progress: told how far it is.
        notes: remarks on the files, to be passed on.

    Raises:
        UserError: if a class has no picture that can be read; if ``strict``, at the first broken file.
    """
    labelled = [(path, label) for label, name in enumerate(files) for path in files[name]]
    read = read_pictures(
        [path for path, _ in labelled],
        model.format(framing),
        strict=strict,
        what="support pictures",
        on_progress=on_progress,
    )
    labels = np.array([labelled[number][1] for number in read.numbers], np.int64)
    for label, name in enumerate(files):
        if label not in labels:
            first = next(file for file in read.broken if file.name in {str(path) for path in files[name]})
            raise UserError(f"the class {name!r} has no readable picture; {first.name}: {first.reason}")
    names = tuple(map(str, read.paths))
    predictor = fit(
        model,
        read.pixels,
        labels,
        tuple(files),
        names=names,
        inference=inference,
        framing=framing,
        invert=invert,
        transductive=transductive,
        cache=cache,
    )
    return replace(predictor, broken=tuple(read.broken), notes=(*notes, *predictor.notes))


def predict_files(
    predictor: Predictor,
    files: Sequence[Path],
    *,
    strict: bool = False,
    most_left_out: int = MOST,
    on_progress: OnProgress = no_progress,
    notes: Sequence[str] = (),
) -> PredictionReport:
    """Leave-one-out over the support, and the classes of the queries.

    Args:
        predictor: the model with its support.
        files: the queries.
        strict: stop at the first file that cannot be read.
        most_left_out: how many support pictures are left out in turn.
        on_progress: told how far it is.
        notes: remarks on the queries, to be passed on.

    Raises:
        UserError: if no query can be read; if ``strict``, at the first broken file.
    """
    read = read_pictures(files, predictor.format, strict=strict, what="reading queries", on_progress=on_progress)
    if not read.paths:
        first = read.broken[0]
        raise UserError(f"no query can be read; {first.name}: {first.reason}")
    if predictor.inverted:
        exchange(read.pixels)
    together = predictor.model.learner.transductive
    left_out = NOTHING_LEFT_OUT if together else predictor.leave_one_out(most_left_out, on_progress)
    predictions = predictor.predict(read.pixels, on_progress)
    right = int((left_out.predicted == predictor.labels.numpy()[left_out.rows]).sum())
    measured = len(left_out.rows)
    return PredictionReport(
        classes=_names(predictor),
        support=_support_images(predictor, left_out),
        queries=_query_predictions(predictor, read, predictions),
        broken=(*predictor.broken, *read.broken),
        notes=(
            *predictor.model.notes,
            *predictor.notes,
            *notes,
            *remarks_on_equals(predictor, read),
            *remarks_on_left_out(predictor, left_out),
        ),
        inference=predictor.inference_name,
        model=predictor.model.name,
        leave_one_out=right / measured if measured else None,
        leave_one_out_interval=wilson_interval(right, measured) if measured else None,
        leave_one_out_confusion=confusion(
            predictor.labels.numpy()[left_out.rows], left_out.predicted, len(predictor.classes)
        ),
        created=datetime.datetime.now(datetime.UTC).astimezone().isoformat(timespec="seconds"),
    )


def _names(predictor: Predictor) -> tuple[str, ...]:
    """The classes as text; those of a classifier that was fitted in Python may be numbers."""
    return tuple(map(str, predictor.classes))


def _support_images(predictor: Predictor, left_out: LeftOut) -> tuple[SupportImage, ...]:
    predicted = dict(zip(left_out.rows.tolist(), left_out.predicted.tolist(), strict=True))
    classes = _names(predictor)
    return tuple(
        SupportImage(
            name,
            classes[label],
            predictor.pictures[row].numpy(),
            classes[predicted[row]] if row in predicted else "",
        )
        for row, (name, label) in enumerate(zip(predictor.names, predictor.labels.tolist(), strict=True))
    )


def _query_predictions(predictor: Predictor, read: Pictures, found: PredictorOutput) -> tuple[QueryPrediction, ...]:
    classes = _names(predictor)
    shares, order = torch.from_numpy(found.probabilities).sort(dim=-1, descending=True, stable=True)
    return tuple(
        QueryPrediction(
            str(path),
            read.pixels[row],
            tuple(classes[label] for label in order[row].tolist()),
            tuple(shares[row].tolist()),
            int(found.agreeing[row]),
            found.views,
        )
        for row, path in enumerate(read.paths)
    )
