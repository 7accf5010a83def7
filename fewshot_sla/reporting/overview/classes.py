"""Accuracy of each class, the hardest first, and what is taken for what."""

from collections.abc import Sequence

from fewshot_sla.reporting.html import count, element, name, text
from fewshot_sla.reporting.overview.layout import beside, missing
from fewshot_sla.reporting.overview.parts import ClassAccuracy, Confusion, Missing
from fewshot_sla.reporting.page.charts import COLORS
from fewshot_sla.reporting.page.confusions import LARGEST_MATRIX, frequent_confusions, matrix

_MOST_CLASSES = 40  # in the table; of more the hardest and the easiest ones
_MOST_PAIRS = 15


def classes_section(runs: Sequence[tuple[str, dict[str, ClassAccuracy] | Missing]]) -> str:
    """A row a class, ordered by the mean of the runs, and a column a run."""
    known = {run: found for run, found in runs if not isinstance(found, Missing)}
    parts = [missing(run, found, len(runs)) for run, found in runs if isinstance(found, Missing)]
    if not known:
        return "\n".join(parts)
    series = {run: number % COLORS for number, (run, _) in enumerate(runs)}
    labels = dict.fromkeys(label for found in known.values() for label in found)
    ordered = sorted(labels, key=lambda label: _mean([found[label] for found in known.values() if label in found]))
    hidden = len(ordered) - _MOST_CLASSES
    half = _MOST_CLASSES // 2
    shown = [ordered[:half], ordered[half:]] if hidden <= 0 else [ordered[:half], ordered[-half:]]
    shown = [group for group in shown if group]
    head = (
        "".join(f'<th scope="col">{name(run)}</th>' for run in known)
        if len(runs) > 1
        else '<th scope="col">Accuracy</th>'
    )
    head = f'<thead><tr><th scope="col">Class</th>{head}</tr></thead>'
    tables = [
        element(
            "table", [head, element("tbody", [_row(label, known, series) for label in group])], class_="list shares"
        )
        for group in shown
    ]
    parts.append("<p>The hardest classes first.</p>")
    parts.append(element("div", tables, class_="columns"))
    if hidden > 0:
        between = count(hidden, "class", "classes")
        parts.append(
            f'<p class="soft">The {half} hardest and the {half} easiest; {between} between them not shown.</p>'
        )
    return "\n".join(parts)


def confusion_section(runs: Sequence[tuple[str, Confusion | Missing]]) -> str:
    """A matrix for few classes, else the pairs that are confused most often."""
    return beside(runs, _confusion)


def _confusion(found: Confusion) -> str:
    wrong = int(found.counts.sum() - found.counts.trace())
    said = f"<p>{text(found.of)} {wrong:,} got the label of another class.</p>"
    if len(found.classes) <= LARGEST_MATRIX:
        return f"{said}\n{matrix(found.classes, found.counts)}"
    if not wrong:
        return said
    pairs = frequent_confusions(found.classes, found.counts, _MOST_PAIRS, found.chances)
    return "\n".join([said, element("div", pairs, class_="scroll")])


def _row(label: str, runs: dict[str, dict[str, ClassAccuracy]], series: dict[str, int]) -> str:
    cells = []
    for run, found in runs.items():
        if label in found:
            share = found[label].accuracy
            said = f'class="number bar c{series[run]}" style="--share:{share:.4f}" title="{text(found[label].of)}"'
            cells.append(f"<td {said}>{100 * share:.2f}&nbsp;%</td>")
        else:
            cells.append("<td></td>")
    return f'<tr><th scope="row">{name(label)}</th>{"".join(cells)}</tr>'


def _mean(accuracies: Sequence[ClassAccuracy]) -> float:
    return sum(found.accuracy for found in accuracies) / len(accuracies)
