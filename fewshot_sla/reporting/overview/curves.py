"""How the training went: loss and accuracies against the step, all runs over one another."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fewshot_sla.inference import inference_title
from fewshot_sla.reporting.html import element
from fewshot_sla.reporting.overview.facts import RunFacts
from fewshot_sla.reporting.overview.layout import missing
from fewshot_sla.reporting.overview.parts import Missing
from fewshot_sla.reporting.page.charts import Line, legend, line_chart
from fewshot_sla.reporting.tables import unique
from fewshot_sla.reporting.training_curves import running_mean

_MOST_POINTS = 200  # of a curve; of more the means of neighbours are drawn
_TRAINING = ("step", "learning_rate", "loss", "accuracy")


def curves_section(runs: Sequence[RunFacts]) -> str:
    """Training loss, validation accuracy, training accuracy; a colour a run, a stroke an inference."""
    known = [(number, run.name, run.metrics) for number, run in enumerate(runs) if not isinstance(run.metrics, Missing)]
    parts = [missing(run.name, run.metrics, len(runs)) for run in runs if isinstance(run.metrics, Missing)]
    inferences = unique(column for _, _, rows in known for row in rows for column in row if column not in _TRAINING)
    strokes = {inference: place for place, inference in enumerate(inferences)}
    loss = [_line(rows, "loss", name, number) for number, name, rows in known]
    training = [_percent(_line(rows, "accuracy", name, number)) for number, name, rows in known]
    validation = [
        _percent(_line(rows, column, f"{name}, {inference_title(column)}", number, stroke))
        for number, name, rows in known
        for column, stroke in strokes.items()
        if any(column in row for row in rows)
    ]
    charts = [_figure("Training loss", loss, "loss")]
    charts.append(_figure("Validation accuracy", validation, "accuracy, %"))
    charts.append(_figure("Training accuracy, on the labels trained on", training, "accuracy, %"))
    return "\n".join([*parts, element("div", charts, class_="charts")]) if known else "\n".join(parts)


def _figure(title: str, lines: Sequence[Line], y_title: str) -> str:
    lines = [line for line in lines if len(line.x)]
    if not lines:
        return element("figure", [f"<figcaption>{title}</figcaption>", '<p class="soft">There was none.</p>'])
    names = legend([(line.name, line.series, line.dash) for line in lines])
    return element("figure", [f"<figcaption>{title}</figcaption>", line_chart(lines, "step", y_title), names])


def _line(rows: Sequence[dict[str, float]], column: str, name: str, series: int, dash: int = 0) -> Line:
    points = np.array([(row["step"], row[column]) for row in rows if column in row], dtype=np.float64).reshape(-1, 2)
    steps, values = _thinned(points[:, 0], points[:, 1])
    return Line(name, steps, values, series, dash)


def _percent(line: Line) -> Line:
    return line._replace(y=100 * line.y)


def _thinned(
    steps: NDArray[np.float64], values: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """At most so many points, each the mean of those that it stands for."""
    every = -(-len(steps) // _MOST_POINTS)
    if every < 2:
        return steps, values
    return steps[::every], running_mean(values, every // 2)[::every]
