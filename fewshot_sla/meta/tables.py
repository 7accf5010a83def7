"""Results of meta-learners as a table: every accuracy with the intervals that are known, each named."""

from collections.abc import Mapping, Sequence

from fewshot_sla.inference import inference_title
from fewshot_sla.meta.results import EpisodeResult
from fewshot_sla.reporting.tables import Cell, Table, percent, unique

COVERS = {
    "episodes": "over episodes: which were drawn of these classes and images; as papers print it",
    "classes": "over classes: which classes there are, each once; for claims about new classes",
    "disjoint": "over disjoint episodes, no two with a common image: which images there are",
}
"""What an interval covers, by what the accuracy is the mean over."""


def results_table(results: Sequence[EpisodeResult], title: str) -> Table:
    """Results of one run: of each test a row for all that its accuracy is a mean over, a column an inference."""
    return runs_table({"": results}, title)


def runs_table(
    runs: Mapping[str, Sequence[EpisodeResult]],  # by the name of the run
    title: str,
) -> Table:
    """Results of several runs, one below the other; what is the same throughout stands in the title."""
    tests = [(run, test) for run, results in runs.items() for test in _by_protocol(results)]
    if not tests:
        return Table(title, [])
    described = [_described(run, next(iter(test.values()))) for run, test in tests]
    varying = [name for name in described[0] if name == "shot" or len({one[name] for one in described}) > 1]
    ways = "" if "way" in varying else f"{described[0]['way']}-way "
    inferences = unique(name for _, test in tests for name in test)
    words = [*varying, "± over"]
    table = Table(
        f"{title}: {ways}accuracy, %", [*words, *(inference_title(name) for name in inferences)], left=len(words)
    )
    for said, (_, test) in zip(described, tests, strict=True):
        table.add_section()
        for over, count in _counts(test).items():
            cells = [_figure(test.get(name), over) for name in inferences]
            table.add(*(said[name] for name in varying), f"{count} {over}", *cells)
    covered = unique(over for _, test in tests for over in _counts(test))
    table.notes += ["± is half a 95 % interval; what it covers:", *(COVERS[over] for over in covered)]
    return table


def _by_protocol(results: Sequence[EpisodeResult]) -> list[dict[str, EpisodeResult]]:
    """The results of each test, by the inference."""
    found: dict[tuple, dict[str, EpisodeResult]] = {}
    for result in results:
        found.setdefault(result.protocol, {})[result.inference] = result
    return list(found.values())


def _described(run: str, result: EpisodeResult) -> dict[str, Cell]:
    """What tells a test from others, by the heading of its column."""
    return {
        "run": run,
        "images": f"{result.dataset}/{result.split}",
        "way": result.n_way,
        "shot": result.k_shot,
        "crops": result.crops,
    }


def _counts(test: Mapping[str, EpisodeResult]) -> dict[str, int]:
    """How many values each mean is of: the same for all inferences of a test."""
    return {over: found.count for result in test.values() for over, found in result.estimates.items()}


def _figure(result: EpisodeResult | None, over: str) -> Cell:
    found = result.estimates.get(over) if result else None
    return percent(found.mean, found.ci95) if found else None
