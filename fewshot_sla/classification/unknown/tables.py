"""The table of one unknown data set: a row an inference and score."""

from collections.abc import Sequence

from episodes.errors import some
from fewshot_sla.classification.unknown.results import UnknownResult
from fewshot_sla.inference import inference_title
from fewshot_sla.inference.scores import SCORES
from fewshot_sla.reporting.tables import Table, percent, unique

HEADINGS = ("inference", "score", "AUROC", "FPR95", "AUPR in", "AUPR out")


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
            figures = (result.auroc, result.fpr95, result.aupr, result.aupr_unknown)
            table.add(inference_title(inference), SCORES[result.score].title, *map(percent, figures))
    if first.shared_classes:
        table.notes.append(
            f"Warning: {first.against} has classes of these names too, whose images are not unknown: "
            f"{some(first.shared_classes)}."
        )
    table.notes += notes
    return table


def accuracies_in_words(
    run: str,
    results: Sequence[UnknownResult],
) -> str:
    """One line: the accuracy on the known images by each inference."""
    by_inference = {result.inference: result.accuracy for result in results}
    shown = ", ".join(f"{inference_title(name)} {percent(value)} %" for name, value in by_inference.items())
    return f"{run}: accuracy on the known images: {shown}"
