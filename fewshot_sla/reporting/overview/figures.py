"""The figures of results.json: accuracies with their intervals, by every inference, of every test."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from fewshot_sla.inference import inference_title
from fewshot_sla.reporting.formats import html_table
from fewshot_sla.reporting.overview.facts import RunFacts
from fewshot_sla.reporting.overview.layout import missing
from fewshot_sla.reporting.overview.parts import Missing
from fewshot_sla.reporting.tables import Figure, Table, percent, unique
from fewshot_sla.runs.results import Result

_INTERVAL = "ci95"  # what the names of intervals begin or end with
_OVER = {"class": "classes", "disjoint": "disjoint episodes"}


def figures_section(runs: Sequence[RunFacts], results: Sequence[Sequence[Result]]) -> str:
    """One table; another one for intervals of other kinds, where there are any; and who has no results."""
    parts = [
        missing(run.name, Missing(f"no results yet; run {run.test_command}"), len(runs))
        for run, found in zip(runs, results, strict=True)
        if not found
    ]
    named = {run.name: list(found) for run, found in zip(runs, results, strict=True) if found}
    if named:
        parts.append(html_table(accuracy_table(named)))
    others = interval_table({run.name: (list(found), run.entries) for run, found in zip(runs, results, strict=True)})
    if others.rows:
        parts.append(html_table(others))
    return "\n".join(parts)


def accuracy_table(
    results: Mapping[str, Sequence[Result]],  # by run
) -> Table:
    """A row a run and inference, a column a test; parts of the classes, where there are any, are columns too."""
    everything = [result for found in results.values() for result in found]
    tests = names_of_tests(everything)
    columns = unique(name for result in everything for name in _columns(tests[result.protocol], result))
    table = Table("Accuracy, %, with its 95 % interval", ["run, inference", *columns])
    for run, found in results.items():
        table.add_section()
        for inference in unique(result.inference for result in found):
            cells: dict[str, Figure] = {}
            for result in found:
                if result.inference == inference:
                    cells |= _columns(tests[result.protocol], result)
            table.add(_row_name(run, inference, len(results)), *(cells.get(column) for column in columns))
    table.notes.append(f"Primary inference: {'; '.join(_primary(results))}.")
    return table


def interval_table(
    runs: Mapping[str, tuple[Sequence[Result], Sequence[Mapping[str, Any]]]],  # by run: results, and as they stand
) -> Table:
    """Intervals that results have besides the one over episodes or images, whatever they are called."""
    everything = [result for results, _ in runs.values() for result in results]
    tests = names_of_tests(everything)
    kinds = unique(kind for _, entries in runs.values() for entry in entries for kind in _intervals(entry))
    table = Table(
        "Other 95 % intervals, %",
        ["run, inference", "test", *(f"over {_OVER.get(kind, kind)}" for kind in kinds)],
        left=2,
    )
    for run, (results, entries) in runs.items():
        for result in results:
            found = _intervals(_entry_of(result, entries))
            if found:
                shown = [found.get(kind) for kind in kinds]
                table.add(_row_name(run, result.inference, len(runs)), tests[result.protocol], *shown)
    return table


def names_of_tests(results: Sequence[Result]) -> dict[tuple[Any, ...], str]:
    """By protocol: data set, split and setting, and what else it takes to tell two tests apart."""
    names: dict[tuple[Any, ...], str] = {}
    for result in results:
        names[result.protocol] = " ".join(part for part in (f"{result.dataset}/{result.split}", result.setting) if part)
    for result in results:
        alike = [other for other in results if names[other.protocol].split(",")[0] == _plain_name(result)]
        keys = [key for key in _keys(result) if len({str(getattr(other, key, None)) for other in alike}) > 1]
        if keys:
            told = ", ".join(f"{key} {getattr(result, key)}" for key in keys)
            names[result.protocol] = f"{_plain_name(result)}, {told}"
    return names


def _entry_of(result: Result, entries: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """How a result stands in the file; empty if it came there after the entries were read, for runs may be tested."""
    key = {field.name: getattr(result, field.name) for field in fields(result) if field.metadata.get("key")}
    return next((entry for entry in entries if all(entry.get(name, key[name]) == key[name] for name in key)), {})


def _plain_name(result: Result) -> str:
    return " ".join(part for part in (f"{result.dataset}/{result.split}", result.setting) if part)


def _keys(result: Result) -> list[str]:
    own = [field.name for field in fields(result) if field.metadata.get("key")]
    return [name for name in own if name not in ("dataset", "split", "inference")]


def _columns(test: str, result: Result) -> dict[str, Figure]:
    parts = {f"{test}, {name}": percent(value) for name, value in result.parts.items()}
    return {test: percent(result.accuracy, result.ci95), **parts}


def _row_name(run: str, inference: str, runs: int) -> str:
    return f"{run}, {inference_title(inference)}" if runs > 1 else inference_title(inference)


def _primary(results: Mapping[str, Sequence[Result]]) -> list[str]:
    chosen = {run: unique(inference_title(r.inference) for r in found if r.primary) for run, found in results.items()}
    return [f"{run} {', '.join(names)}" if len(chosen) > 1 else ", ".join(names) for run, names in chosen.items()]


def _intervals(entry: Mapping[str, Any]) -> dict[str, Figure]:
    """By name: ``ci95_NAME`` alone, or ``NAME_ci95`` beside the mean ``NAME_accuracy`` that it is of."""
    found = {}
    for key, value in entry.items():
        name = key.removeprefix(f"{_INTERVAL}_").removesuffix(f"_{_INTERVAL}")
        if name == key or type(value) not in (int, float):
            continue
        mean = entry.get(f"{name}_accuracy")
        found[name] = percent(mean, value) if isinstance(mean, (int, float)) else percent(value)
    return found
