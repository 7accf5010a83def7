"""The comparison of two runs as a table, as a picture, and what to keep in mind when reading either."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from matplotlib.axes import Axes

from fewshot_sla.meta.comparison import Comparison
from fewshot_sla.meta.results import EpisodeResult
from fewshot_sla.reporting.pictures import COLORS, picture
from fewshot_sla.reporting.tables import Cell, Table, percent


def comparison_table(comparisons: Sequence[Comparison]) -> Table:
    """Accuracies of both runs by every inference, and the paired difference of the primary ones."""
    first = comparisons[0]
    names = run_names(first)
    title = f"{first.primary_a.dataset}/{first.primary_a.split}: B - A on the same episodes"
    table = Table(title, ["", *(f"{column_name(comparison, comparisons)}, %" for comparison in comparisons)])
    for letter, name, side in (("A", names[0], "results_a"), ("B", names[1], "results_b")):
        for inference in _inferences(comparisons, side):
            cells = [_cell(getattr(comparison, side), inference) for comparison in comparisons]
            table.add(f"{letter}  {name}, {inference}", *cells)
    table.add_section()
    paired = [comparison.paired for comparison in comparisons]
    table.add(
        f"B ({first.primary_b.inference}) - A ({first.primary_a.inference})",
        *(percent(p.difference, p.ci95, signed=True) for p in paired),
    )
    table.add("p, paired t-test over episodes", *(_p_value(p.p_value) for p in paired))
    table.add(
        f"the same over the {paired[0].classes} classes, each counted once",
        *(f"{100 * p.class_difference:+.2f} ± {100 * p.class_ci95:.2f}, p {_p_value(p.class_p_value)}" for p in paired),
    )
    return table


def warnings_about(comparisons: Sequence[Comparison]) -> Iterator[str]:
    """Sentences that belong under the table: what an interval covers, and where it is too narrow for a claim."""
    yield "± is half a 95 % interval over episodes: it covers which episodes were drawn, from these classes and images."
    most = max(comparisons, key=lambda comparison: comparison.draws_per_image)
    if most.draws_per_image > 1:
        result = most.primary_a
        yield (
            f"Warning: {result.episodes} episodes draw each of the {most.images} images {most.draws_per_image:.0f} "
            "times, so they are not independent samples of all there is (arXiv 2409.02850): a claim about new classes "
            "rests on the row over classes."
        )
    for comparison in comparisons:
        if comparison.paired.class_p_value > 0.05 >= comparison.paired.p_value:
            yield (
                f"Warning: at {comparison.primary_a.k_shot}-shot the difference is beyond chance over episodes but not "
                "over classes: it may not hold for other classes."
            )


def draw_comparison(path: Path, comparisons: Sequence[Comparison]) -> None:
    """Accuracies with their intervals, a group a protocol, and beside them the paired differences.

    Points and not bars: the axis does not begin at zero.
    """
    first = comparisons[0].primary_a
    with picture(path, 10, 4.2) as figure:
        accuracies, differences = figure.subplots(1, 2, width_ratios=[2, 1])
        figure.suptitle(f"{first.dataset}/{first.split}, {first.episodes} episodes")
        _draw_accuracies(accuracies, comparisons)
        _draw_differences(differences, comparisons)
        groups = [column_name(comparison, comparisons) for comparison in comparisons]
        for axes in (accuracies, differences):
            axes.set_xticks(range(len(groups)), groups)
            axes.set_xlim(-0.5, len(groups) - 0.5)
            axes.grid(axis="y", alpha=0.3)
            axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=3)


def _draw_accuracies(axes: Axes, comparisons: Sequence[Comparison]) -> None:
    names = run_names(comparisons[0])
    series = [
        (f"{name}, {inference}", side, inference)
        for name, side in zip(names, ("results_a", "results_b"), strict=True)
        for inference in _inferences(comparisons, side)
    ]
    for number, (label, side, inference) in enumerate(series):
        shift = 0.22 * (number - (len(series) - 1) / 2)
        points = [
            (group + shift, 100 * found.accuracy, 100 * found.ci95)
            for group, comparison in enumerate(comparisons)
            if (found := _find(getattr(comparison, side), inference))
        ]
        _points(axes, points, label, COLORS[number % len(COLORS)])
        for x, y, _ in points:
            axes.annotate(f"{y:.1f}", (x, y), (7, 0), textcoords="offset points", va="center", fontsize=8)
    axes.set_ylabel("accuracy, % (95 % interval over episodes)")


def _draw_differences(axes: Axes, comparisons: Sequence[Comparison]) -> None:
    for shift, label, mean, field, color in (
        (-0.1, "over episodes", "difference", "ci95", COLORS[0]),
        (0.1, "over classes", "class_difference", "class_ci95", COLORS[1]),
    ):
        points = [
            (group + shift, 100 * getattr(c.paired, mean), 100 * getattr(c.paired, field))
            for group, c in enumerate(comparisons)
        ]
        _points(axes, points, label, color)
    axes.axhline(0, color="grey", linewidth=1)
    axes.set_ylabel("paired difference B - A, points (95 %)")


def _points(axes: Axes, points: Sequence[tuple[float, float, float]], label: str, color: str) -> None:
    """Means with their intervals: (place, mean, half-width)."""
    places, means, widths = zip(*points, strict=True)
    axes.errorbar(places, means, yerr=widths, fmt="o", capsize=4, label=label, color=color)


def column_name(comparison: Comparison, among: Sequence[Comparison]) -> str:
    """What to call a protocol; seed, queries and episodes are said where they tell it from another one."""
    result = comparison.primary_a
    others = [other.primary_a for other in among if other is not comparison]
    if any((other.n_way, other.k_shot) == (result.n_way, result.k_shot) for other in others):
        details = f" ({result.n_query} queries, {result.episodes} episodes, seed {result.seed})"
    else:
        details = ""
    return f"{result.n_way}-way {result.k_shot}-shot{details}"


def run_names(comparison: Comparison) -> tuple[str, str]:
    """What to call the two runs: the names of their folders, with those of the folders above if these are equal."""
    a, b = comparison.folder_a.path, comparison.folder_b.path
    if a.name != b.name or a.resolve() == b.resolve():
        return a.name, b.name
    return f"{a.resolve().parent.name}/{a.name}", f"{b.resolve().parent.name}/{b.name}"


def _inferences(comparisons: Sequence[Comparison], side: str) -> list[str]:
    """Inferences that a run was tested by, in any of the protocols."""
    return list(dict.fromkeys(result.inference for comparison in comparisons for result in getattr(comparison, side)))


def _find(results: Sequence[EpisodeResult], inference: str) -> EpisodeResult | None:
    return next((result for result in results if result.inference == inference), None)


def _cell(results: Sequence[EpisodeResult], inference: str) -> Cell:
    found = _find(results, inference)
    return percent(found.accuracy, found.ci95) if found else None


def _p_value(p: float) -> str:
    return "< 0.0001" if p < 0.0001 else f"{p:.4f}"
