"""Tables of unknown data sets: one each for people, one of all for programs; a row an inference and score."""

from collections.abc import Sequence

from episodes.errors import some
from fewshot_sla.classification.unknown.results import UnknownResult
from fewshot_sla.inference import inference_title
from fewshot_sla.inference.scores import SCORES
from fewshot_sla.reporting.tables import Figure, Table, percent, unique

FIGURES = ("AUROC", "FPR95", "AUPR in", "AUPR out")
HEADINGS = ("inference", "score", *FIGURES)
ALL_HEADINGS = ("run", "known", "split", "against", "inference", "score", "known images", "unknown images", *FIGURES)


def unknown_table(
    run: str,  # what the run is called
    results: Sequence[UnknownResult],  # of one data set, at least one
    notes: Sequence[str] = (),
) -> Table:
    """Figures in per cent; a section an inference."""
    first = results[0]
    known = f"{first.dataset}/{first.split} ({first.known:,})"
    table = Table(f"{run}: {known} against {first.against} ({first.unknown:,}), %", HEADINGS, left=2)
    for inference in unique(result.inference for result in results):
        table.add_section()
        for result in (result for result in results if result.inference == inference):
            table.add(inference_title(inference), SCORES[result.score].title, *_figures(result))
    if first.shared_classes:
        table.notes.append(
            f"Warning: {first.against} has classes of these names too, whose images are not unknown: "
            f"{some(first.shared_classes)}."
        )
    table.notes += notes
    return table


def table_for_programs(
    runs: Sequence[tuple[str, Sequence[UnknownResult]]],  # name of the run, results
    notes: Sequence[str] = (),
) -> Table:
    """All results of all runs with what a title says elsewhere, names as unknown.json has them; figures in per cent."""
    table = Table("unknown images, %", ALL_HEADINGS, left=6)
    for run, results in runs:
        for result in results:
            of = (result.dataset, result.split, result.against, result.inference, result.score)
            table.add(run, *of, result.known, result.unknown, *_figures(result))
    table.notes += notes
    return table


def _figures(result: UnknownResult) -> list[Figure]:
    return [percent(value) for value in (result.auroc, result.fpr95, result.aupr, result.aupr_unknown)]


def accuracies_in_words(
    run: str,
    results: Sequence[UnknownResult],
) -> str:
    """One line: the accuracy on the known images by each inference."""
    by_inference = {result.inference: result.accuracy for result in results}
    shown = ", ".join(f"{inference_title(name)} {percent(value)} %" for name, value in by_inference.items())
    return f"{run}: accuracy on the known images: {shown}"
