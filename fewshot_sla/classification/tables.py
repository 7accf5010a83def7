"""Tables of a classifier's results for a terminal."""

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from fewshot_sla.classification.results import ClassificationResult
from fewshot_sla.inference import inference_title
from fewshot_sla.reporting.tables import plus_minus


def class_results_table(results: Sequence[ClassificationResult], title: str) -> Table:
    """A row an inference; columns for classes with many, medium and few training images where there are such."""
    groups = list(dict.fromkeys(name for result in results for name in result.groups))
    table = Table(title=escape(title), title_justify="left")
    table.add_column("inference")
    table.add_column("accuracy, % ± 95 %", justify="right")
    for name in groups:
        table.add_column(name, justify="right")
    for result in results:
        crops = f", {result.crops} crops" if result.crops > 1 else ""
        shown = [f"{100 * result.groups[name]:.2f}" if name in result.groups else "" for name in groups]
        name = inference_title(result.inference)
        table.add_row(escape(name) + crops, plus_minus(result.accuracy, result.ci95), *shown)
    return table
