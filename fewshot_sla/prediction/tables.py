"""Predictions on a terminal, as CSV and as JSON."""

import csv
import io
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fewshot_sla.inference import inference_title
from fewshot_sla.prediction.report import PredictionReport, QueryPrediction
from fewshot_sla.reporting.html import printable
from fewshot_sla.reporting.tables import Table

MOST_ROWS = 50  # of the table on a terminal
# What a spreadsheet takes for a formula: such a beginning, and more behind it that is no number.
_FORMULA = re.compile(r"[=+\-@\t\r].+", re.DOTALL)
_NUMBER = re.compile(r"[+-]?[0-9]+([.,][0-9]+)?")

MEANING = (
    "A probability is a softmax over the head's scores: it ranks the classes, but is not calibrated. How far to trust "
    "the labels is told by the accuracy of leaving one out, and for each query by how many views agree."
)


def prediction_table(report: PredictionReport, top_k: int) -> Table:
    """A row a query, at most MOST_ROWS of them."""
    title = f"{report.model}, {inference_title(report.inference)}"
    following = ["next"] if top_k > 1 and len(report.classes) > 1 else []
    table = Table(
        printable(title), ["query", "label", *following, "probability", "views agree"], left=2 + len(following)
    )
    unambiguous = len({Path(query.name).name for query in report.queries}) == len(report.queries)
    for query in report.queries[:MOST_ROWS]:
        name = Path(query.name).name if unambiguous else query.name
        others = list(zip(query.labels, query.probabilities, strict=True))[1:top_k]
        beside = [", ".join(f"{label} {share:.3f}" for label, share in others)] if following else []
        agreeing = f"{query.agreeing_views}/{query.views}"
        cells = [name, query.labels[0], *beside, f"{query.probabilities[0]:.3f}", agreeing]
        table.add(*map(printable, cells))
    return table


def closing_lines(report: PredictionReport, files: Sequence[str]) -> list[str]:
    """What belongs under the table: how far to trust it, what was noticed, and where it is written."""
    lines = []
    if len(report.queries) > MOST_ROWS:
        lines.append(f"... and {len(report.queries) - MOST_ROWS} more queries")
    lines += [leave_one_out_line(report), MEANING]
    lines += [f"note: {note}" for note in report.notes]
    if report.broken:
        count = len(report.broken)
        lines.append(f"{count} file{'s' if count > 1 else ''} could not be read:")
        lines += [f"  {file.name}: {file.reason}" for file in report.broken[:MOST_ROWS]]
        if count > MOST_ROWS:
            lines.append(f"  ... and {count - MOST_ROWS} more")
    return [printable(line) for line in lines + ([f"written: {', '.join(files)}"] if files else [])]


def leave_one_out_line(report: PredictionReport) -> str:
    """How often a support picture is recognised by the others."""
    if report.leave_one_out is None or report.leave_one_out_interval is None:
        return "leave-one-out accuracy of the support: not measured, no picture could be left out"
    low, high = report.leave_one_out_interval
    measured = int(report.leave_one_out_confusion.sum())
    return (
        f"leave-one-out accuracy of the support: {100 * report.leave_one_out:.1f} % of {measured} pictures "
        f"(95 % interval {100 * low:.1f} to {100 * high:.1f}; chance {100 / len(report.classes):.1f})"
    )


def predictions_as_csv(report: PredictionReport, top_k: int) -> str:
    """A row a query: label and probability of the top k, and how many views agree.

    A spreadsheet would compute what looks like a formula, so such names get an apostrophe in front, as spreadsheets
    themselves write text; names that are not valid text keep their odd bytes as escapes, the same as in JSON.
    """
    k = min(top_k, len(report.classes))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    quoting = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)  # the other lets a bare "\r" break the row
    ranks = [name for rank in range(2, k + 1) for name in (f"label_{rank}", f"probability_{rank}")]
    writer.writerow(["query", "label", "probability", "agreeing_views", "views", *ranks])
    for query in report.queries:
        (first, share), *others = [(_csv_text(label), share) for label, share in _top(query, k)]
        following = [cell for pair in others for cell in pair]
        cells = [_csv_text(query.name), first, share, query.agreeing_views, query.views, *following]
        (quoting if any("\r" in str(cell) for cell in cells) else writer).writerow(cells)
    return text.getvalue()


def predictions_as_json(report: PredictionReport, top_k: int) -> str:
    """Everything but the pixels; names that are not valid text keep their odd bytes as escapes."""
    interval = report.leave_one_out_interval
    document: dict[str, Any] = {
        "model": report.model,
        "inference": report.inference,
        "created": report.created,
        "probability": "softmax over the head's scores, not calibrated",
        "classes": list(report.classes),
        "queries": [
            {
                "query": query.name,
                "label": query.labels[0],
                "top": [{"label": label, "probability": share} for label, share in _top(query, top_k)],
                "agreeing_views": query.agreeing_views,
                "views": query.views,
            }
            for query in report.queries
        ],
        "leave_one_out": {
            "accuracy": report.leave_one_out,
            "interval_95": None if interval is None else list(interval),
            "measured": int(report.leave_one_out_confusion.sum()),
            "confusion": _confusions(report),
        },
        "support": [
            {"picture": image.name, "label": image.label, "left_out_label": image.left_out_label or None}
            for image in report.support
        ],
        "broken": [{"file": file.name, "reason": file.reason} for file in report.broken],
        "notes": list(report.notes),
    }
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def _confusions(report: PredictionReport) -> list[dict[str, Any]]:
    """What was taken for what and how often; only what happened, for the table of thousands of classes is empty."""
    table, names = report.leave_one_out_confusion, report.classes
    return [
        {"right": names[i], "given": names[j], "pictures": int(table[i, j])} for i, j in np.argwhere(table).tolist()
    ]


def _csv_text(words: str) -> str:
    words = words.encode("utf-8", "backslashreplace").decode()
    return f"'{words}" if _FORMULA.fullmatch(words) and not _NUMBER.fullmatch(words) else words


def _top(query: QueryPrediction, k: int) -> list[tuple[str, float]]:
    pairs = zip(query.labels, query.probabilities, strict=True)
    return [(label, round(share, 6)) for label, share in list(pairs)[:k]]
