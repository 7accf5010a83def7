"""Tables of the results of a classifier, and of an ensemble."""

from collections.abc import Sequence

from fewshot_sla.classification.ensemble import NOTE, EnsembleRecord
from fewshot_sla.classification.results import ClassificationResult
from fewshot_sla.inference import inference_title
from fewshot_sla.reporting.tables import Table, percent, unique


def class_results_table(results: Sequence[ClassificationResult], title: str) -> Table:
    """A row an inference; columns for classes with many, medium and few training images where there are such."""
    groups = unique(name for result in results for name in result.groups)
    table = Table(title, ["inference", "accuracy, % ± 95 %", *groups])
    for result in results:
        crops = f", {result.crops} crops" if result.crops > 1 else ""
        shown = [percent(result.groups[name]) if name in result.groups else None for name in groups]
        table.add(inference_title(result.inference) + crops, percent(result.accuracy, result.ci95), *shown)
    return table


def ensemble_table(record: EnsembleRecord) -> Table:
    """The results of an ensemble, with how they came about."""
    title = f"independent ensemble (IE) of {record.models} runs on {record.dataset}/{record.split}"
    table = class_results_table(record.results, title)
    table.notes.append(NOTE)
    partial = [member.run_folder for member in record.members if not member.finished]
    if partial:
        table.notes.append(f"Not trained to its end: {', '.join(partial)}.")
    return table
