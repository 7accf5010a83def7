"""What the views bring: accuracy by how many are aggregated, and the map of their features."""

from collections.abc import Sequence

import numpy as np

from fewshot_sla.reporting.formats import html_table
from fewshot_sla.reporting.html import element, text, whole_percent
from fewshot_sla.reporting.overview.layout import beside, missing
from fewshot_sla.reporting.overview.parts import ByViews, FeatureMap, Missing
from fewshot_sla.reporting.page.charts import Cloud, Line, legend, line_chart, marker_legend, scatter
from fewshot_sla.reporting.tables import Table, percent, unique


def views_section(runs: Sequence[tuple[str, ByViews | Missing]]) -> str:
    """Accuracy by the first m views: a curve a run, and the figures as a table."""
    known = [(number, run, found) for number, (run, found) in enumerate(runs) if not isinstance(found, Missing)]
    parts = [missing(run, found, len(runs)) for run, found in runs if isinstance(found, Missing)]
    if not known:
        return "\n".join(parts)
    told = " ".join(unique(found.of for _, _, found in known))
    parts.append(f"<p>{text(told)} The views are added in the order of the transformations.</p>")
    lines = [_line(number, run, found) for number, run, found in known]
    names = legend([(line.name, line.series, line.dash) for line in lines]) if len(runs) > 1 else ""
    figure = element("figure", [line_chart(lines, "views aggregated", "accuracy, %"), names])
    table = views_table({run: found for _, run, found in known})
    parts.append(element("div", [figure, element("div", [html_table(table)])], class_="charts"))
    return "\n".join(parts)


def views_table(runs: dict[str, ByViews]) -> Table:
    """A row a number of views; the last row is the gain of all over one."""
    table = Table("Accuracy, %, by the first m views", ["m", "view added", *runs], left=2)
    for place in range(max(len(found.views) for found in runs.values())):
        added = unique(found.views[place] for found in runs.values() if place < len(found.views))
        cells = [
            percent(found.accuracies[place], found.half_widths[place]) if place < len(found.views) else None
            for found in runs.values()
        ]
        table.add(str(place + 1), " or ".join(added), *cells)
    table.add_section()
    gains = [percent(found.accuracies[-1] - found.accuracies[0], signed=True) for found in runs.values()]
    table.add("", "all views less one", *gains)
    return table


def map_section(runs: Sequence[tuple[str, FeatureMap | Missing]]) -> str:
    """A map a run: colours are classes, shapes are transformations."""
    said = (
        "<p>Features of views by t-SNE: a colour a class, a shape a transformation. Joint labels can be told apart "
        "where shapes of one colour lie apart. Distances between far groups mean nothing.</p>"
    )
    return f"{said}\n{beside(runs, _map)}"


def _line(number: int, run: str, found: ByViews) -> Line:
    counts = np.arange(1, len(found.accuracies) + 1, dtype=np.float64)
    return Line(run, counts, 100 * np.array(found.accuracies, dtype=np.float64), number)


def _map(found: FeatureMap) -> str:
    clouds = [
        Cloud(found.points[chosen], series, marker)
        for series in range(len(found.classes))
        for marker in range(len(found.transformations))
        if (chosen := (found.labels == series) & (found.views == marker)).any()
    ]
    several = len(found.transformations) > 1
    said = (
        f"{found.of}. The nearest feature of another image is of the same class in "
        f"{whole_percent(found.same_class)} of all cases"
    )
    if several:
        by_chance = whole_percent(1 / len(found.transformations))
        said += (
            f", and of the same transformation in {whole_percent(found.same_transformation)} (by chance {by_chance})"
        )
    parts = [scatter(clouds, said), marker_legend([(label, place, 0) for place, label in enumerate(found.classes)])]
    if several:
        parts.append(marker_legend([(view, None, place) for place, view in enumerate(found.transformations)]))
    return element("figure", [*parts, f'<p class="small soft">{text(said)}.</p>'], class_="map")
