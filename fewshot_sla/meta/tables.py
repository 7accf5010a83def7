"""Results of meta-learners as a table: every accuracy with the intervals that are known, each named."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from fewshot_sla.inference import inference_title
from fewshot_sla.inference.scores import SCORES
from fewshot_sla.meta.results import SINGLE, EpisodeResult
from fewshot_sla.reporting.tables import Cell, Table, percent, unique

COVERS = {
    "episodes": "over episodes: which were drawn of these classes and images; as papers print it",
    "classes": "over classes: which classes there are, each once; for claims about new classes",
    "disjoint": "over disjoint episodes, no two with a common image: which images there are",
}
"""What an interval covers, by what the accuracy is the mean over."""

TRANSDUCTIVE = "transductive: the queries of an episode are answered together; compare such figures with such"


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
    described, varying, ways = _told_apart(tests)
    inferences = unique(name for _, test in tests for name in test)
    words = [*varying, "± over"]
    table = Table(f"{title}: {ways}accuracy, %", [*words, *map(inference_title, inferences)], left=len(words))
    for said, (_, test) in zip(described, tests, strict=True):
        table.add_section()
        for over, count in _counts(test).items():
            cells = [_figure(test.get(name), over) for name in inferences]
            table.add(*(said[name] for name in varying), f"{count} {over}", *cells)
    covered = unique(over for _, test in tests for over in _counts(test))
    if any(result.transductive for _, test in tests for result in test.values()):
        table.notes.append(TRANSDUCTIVE)
    table.notes += ["± is half a 95 % interval; what it covers:", *(COVERS[over] for over in covered)]
    return table


def detection_table(
    runs: Mapping[str, Sequence[EpisodeResult]],  # by the name of the run
    title: str,
) -> Table:
    """AUROC of known queries against unknown ones: of each test a row a score, a column an inference, and the gains."""
    everything = [(run, test) for run, results in runs.items() for test in _by_protocol(results)]
    tests = [(run, test) for run, test in everything if any(result.auroc for result in test.values())]
    if not tests:
        return Table(title, [])
    described, varying, _ = _told_apart(tests)
    first = described[0]
    sizes = [f"{first[name]}{unit}" for name, unit in (("way", "-way"), ("unknown", " unknown")) if name not in varying]
    inferences = unique(name for _, test in tests for name in test)
    gaining = unique(name for _, test in tests for name, result in test.items() if result.auroc_gain)
    gains = [f"gain, {name}" for name in gaining] if len(gaining) > 1 else ["gain"] * len(gaining)
    words = [*varying, "score"]
    headings = [*words, *map(inference_title, inferences), *gains]
    table = Table(f"{title}: {', '.join([*sizes, 'AUROC in %'])}", headings, left=len(words))
    for said, (_, test) in zip(described, tests, strict=True):
        table.add_section()
        for score in _scores([test]):
            shown = [_auroc(test.get(name), score) for name in inferences]
            gained = [_auroc_gain(test.get(name), score) for name in gaining]
            table.add(*(said[name] for name in varying), score, *shown, *gained)
    table.notes += _about_detection(_scores(test for _, test in tests), gaining)
    return table


def _by_protocol(results: Sequence[EpisodeResult]) -> list[dict[str, EpisodeResult]]:
    """The results of each test, by the inference."""
    found: dict[tuple, dict[str, EpisodeResult]] = {}
    for result in results:
        found.setdefault(result.protocol, {})[result.inference] = result
    return list(found.values())


def _told_apart(
    tests: Sequence[tuple[str, Mapping[str, EpisodeResult]]],  # name of the run, results by inference
) -> tuple[list[dict[str, Cell]], list[str], str]:  # what describes each, what of it varies, the ways that do not
    described = [_described(run, next(iter(test.values()))) for run, test in tests]
    varying = [name for name in described[0] if _is_shown(name, [one[name] for one in described])]
    return described, varying, "" if "way" in varying else f"{described[0]['way']}-way "


def _is_shown(name: str, cells: Sequence[Cell]) -> bool:
    """Shots always; that a test is transductive, whenever it is; what else differs."""
    return name == "shot" or len(set(cells)) > 1 or "transductive" in cells


def _described(run: str, result: EpisodeResult) -> dict[str, Cell]:
    """What tells a test from others, by the heading of its column."""
    return {
        "run": run,
        "images": f"{result.dataset}/{result.split}",
        "way": result.n_way,
        "shot": result.k_shot,
        "crops": result.crops,
        "unknown": result.unknown_ways,
        "mode": "transductive" if result.transductive else "inductive",
    }


def _counts(test: Mapping[str, EpisodeResult]) -> dict[str, int]:
    """How many values each mean is of: the same for all inferences of a test."""
    return {over: found.count for result in test.values() for over, found in result.estimates.items()}


def _figure(result: EpisodeResult | None, over: str) -> Cell:
    found = result.estimates.get(over) if result else None
    return percent(found.mean, found.ci95) if found else None


def _scores(tests: Iterable[Mapping[str, EpisodeResult]]) -> list[str]:
    """All scores that there are figures of."""
    return unique(score for test in tests for result in test.values() for score in result.auroc)


def _auroc(result: EpisodeResult | None, score: str) -> Cell:
    return percent(result.auroc[score], result.auroc_ci95.get(score)) if result and score in result.auroc else None


def _auroc_gain(result: EpisodeResult | None, score: str) -> Cell:
    if result is None or score not in result.auroc_gain:
        return None
    return percent(result.auroc_gain[score], result.auroc_gain_ci95.get(score), signed=True)


def _about_detection(scores: Sequence[str], gaining: Sequence[str]) -> Iterator[str]:
    """Sentences that belong under the table."""
    yield "AUROC: how often a query of the episode's classes scores above one of other classes; 50 is chance"
    titles = [f"{name}: {SCORES[name].title}" for name in scores if name in SCORES and name != SCORES[name].title]
    if titles:
        yield f"scores: {', '.join(titles)}"
    gain = f"; gain: {' or '.join(gaining)} less {SINGLE}, paired over the same episodes" if gaining else ""
    yield f"± is half a 95 % interval over episodes{gain}"
