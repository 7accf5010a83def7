"""Several runs held against one, as tables for people and for programs, and what to keep in mind when reading them."""

from collections.abc import Iterator, Sequence

from fewshot_sla.reporting.formats import Format
from fewshot_sla.reporting.tables import Cell, Figure, Table, percent, unique
from fewshot_sla.runs.comparison import ComparedRun, Comparison, Comparisons

MOST_TESTS = 3  # columns of accuracies that fit 80 characters beside the names


def comparison_tables(comparisons: Comparisons, form: Format) -> list[Table]:
    """Accuracies and differences for people; one long table, a row a comparison, for programs."""
    if form in ("csv", "json"):
        return [long_table(comparisons)]
    tests = list(comparisons.tests)
    parts = [tests[start : start + MOST_TESTS] for start in range(0, len(tests), MOST_TESTS)]
    asked_unknown = any(pair.aurocs for pair in comparisons.pairs)
    aurocs = [auroc_table(comparisons)] if asked_unknown else []
    return [*(accuracy_table(comparisons, part) for part in parts), difference_table(comparisons), *aurocs]


def accuracy_table(comparisons: Comparisons, tests: Sequence[tuple]) -> Table:
    """Accuracy of every run by every inference; a letter marks what is compared."""
    table = Table(
        f"{comparisons.data.name}, accuracy in %", ["", "run", *(comparisons.tests[test] for test in tests)], 2
    )
    for run, inference in comparisons.rows():
        letter = run.letter if run.compares(inference) else ""
        table.add(letter, f"{run.name}, {inference}", *(_cell(run, test, inference) for test in tests))
    return table


def difference_table(comparisons: Comparisons) -> Table:
    """Differences to the baseline with their intervals, p-values corrected for all of them."""
    several = len(comparisons.pairs) > 1
    p = "p (Holm)" if several else "p"
    baseline = comparisons.runs[0].letter
    title = f"differences to {baseline}, {comparisons.runs[0].name}, on the same {comparisons.unit}, in points"
    table = Table(title, ["test", "", f"over {comparisons.unit}", p, "over classes", p], 2)
    for test, name in comparisons.tests.items():
        if len(comparisons.runs) > 2:
            table.add_section()
        for pair in (pair for pair in comparisons.pairs if pair.test == test):
            table.add(
                name,
                f"{pair.letter} - {baseline}",
                percent(pair.paired.difference, pair.paired.ci95, signed=True),
                _p_value(pair.p_value),
                percent(pair.paired.class_difference, pair.paired.class_ci95, signed=True),
                _p_value(pair.class_p_value),
            )
            name = ""
    table.notes += notes_about(comparisons)
    return table


def auroc_table(comparisons: Comparisons) -> Table:
    """Differences in AUROC to the baseline, by score, where both were asked queries of unknown classes."""
    baseline = comparisons.runs[0].letter
    table = Table(f"differences to {baseline} in AUROC, in points", ["test", "", "score", "over episodes"], 3)
    for test, name in comparisons.tests.items():
        for pair in (pair for pair in comparisons.pairs if pair.test == test and pair.aurocs):
            table.add_section()
            for score in pair.aurocs:
                table.add(name, f"{pair.letter} - {baseline}", score, _auroc_cell(pair, score))
    table.notes.append("AUROC: known queries against unknown ones of the same episode; intervals stand for themselves.")
    return table


def long_table(comparisons: Comparisons) -> Table:
    """A row a comparison, with all there is to say of it, p-values as they are and corrected."""
    unit, runs = comparisons.unit, {run.letter: run for run in comparisons.runs}
    a = comparisons.runs[0]
    headings = [
        "data", "test", "run", "run_folder", "inference", "baseline", "baseline_folder", "baseline_inference",
        "accuracy, %", "baseline accuracy, %", unit, "classes", "comparisons",
        f"difference over {unit}, points", f"p over {unit}", f"p over {unit} (Holm)",
        "difference over classes, points", "p over classes", "p over classes (Holm)", "unfinished",
    ]  # fmt: skip
    scores = unique(score for pair in comparisons.pairs for score in pair.aurocs)
    headings += [f"AUROC difference by {score}, points" for score in scores]
    table = Table(f"{comparisons.data.name}: runs against {a.name}", headings, 8)
    for pair in comparisons.pairs:
        b, found = runs[pair.letter], pair.paired
        table.add(
            comparisons.data.name, comparisons.tests[pair.test],
            b.name, b.path, pair.result.inference, a.name, a.path, pair.baseline.inference,
            percent(pair.result.accuracy, pair.result.ci95), percent(pair.baseline.accuracy, pair.baseline.ci95),
            pair.units, found.classes, len(comparisons.pairs),
            percent(found.difference, found.ci95, signed=True), Figure(found.p_value), Figure(pair.p_value),
            percent(found.class_difference, found.class_ci95, signed=True),
            Figure(found.class_p_value), Figure(pair.class_p_value),
            " ".join(run.name for run in (a, b) if run.unfinished),
            *(_auroc_cell(pair, score) for score in scores),
        )  # fmt: skip
    table.notes += notes_about(comparisons)
    return table


def notes_about(comparisons: Comparisons) -> Iterator[str]:
    """Sentences that belong under the table: what intervals and p-values are of."""
    unit, pairs = comparisons.unit, comparisons.pairs
    drawn = any(pair.result.drawn for pair in pairs)
    yield (
        f"± is half a 95 % interval: over {unit}, it covers which {unit} were tested, of these classes"
        f"{' and images' if drawn else ''}; over the {_classes(pairs)} classes, each counted once, which "
        "classes there are."
    )
    yield _about_tests(comparisons)


def warnings_about(comparisons: Comparisons) -> Iterator[str]:
    """Lines on where an interval or a p-value promises too much, and on trainings that stopped early."""
    unit, pairs = comparisons.unit, comparisons.pairs
    most = max(pairs, key=comparisons.draws_per_image)
    draws = comparisons.draws_per_image(most)
    if draws > 1:
        yield (
            f"Warning: {most.units} episodes draw each of the {comparisons.data.images} images {draws:.0f} times, so "
            "they are not independent samples of all there is (arXiv 2409.02850): a claim about new classes rests on "
            "the figures over classes."
        )
    for pair in pairs:
        if pair.class_p_value > 0.05 >= pair.p_value:
            meaning = "it may not hold for other classes" if pair.result.drawn else "it rests on some of the classes"
            yield (
                f"Warning: {pair.letter} - {comparisons.runs[0].letter}, {comparisons.tests[pair.test]}: the "
                f"difference is beyond chance over {unit} but not over classes: {meaning}."
            )
    yield from (f"Warning: {line}" for line in unique(run.unfinished for run in comparisons.runs if run.unfinished))


def _about_tests(comparisons: Comparisons) -> str:
    of_units = "McNemar's exact test over images" if comparisons.unit == "images" else "paired t-tests over episodes"
    count = len(comparisons.pairs)
    correction = (
        f", corrected by Holm's method for the {count} comparisons shown; each interval stands for itself"
        if count > 1
        else ""
    )
    and_classes = "a t-test over classes" if comparisons.unit == "images" else "over classes"
    return f"p: {of_units} and {and_classes}, of no difference{correction}."


def _classes(pairs: Sequence[Comparison]) -> str:
    counts = sorted({pair.paired.classes for pair in pairs})
    return str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"


def _cell(run: ComparedRun, test: tuple, inference: str) -> Cell:
    found = run.result(test, inference)
    return percent(found.accuracy, found.ci95) if found else None


def _auroc_cell(pair: Comparison, score: str) -> Cell:
    found = pair.aurocs.get(score)
    return percent(found.mean, found.ci95, signed=True) if found else None


def _p_value(p: float) -> str:
    if p != p:
        return "-"  # of a single episode, say
    return "< 0.0001" if p < 0.0001 else f"{p:.4f}"
