"""Results of a meta-learner as a table for a terminal."""

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from fewshot_sla.inference import inference_title
from fewshot_sla.meta.results import EpisodeResult
from fewshot_sla.reporting.tables import plus_minus


def results_table(results: Sequence[EpisodeResult], title: str) -> Table:
    """Results of one run: a row a protocol, a column an inference."""
    inferences = list(dict.fromkeys(result.inference for result in results))
    table = Table(title=escape(title), title_justify="left")
    for heading in ("split", "way", "shot", "episodes"):
        table.add_column(heading, justify="left" if heading == "split" else "right")
    for inference in inferences:
        table.add_column(f"{inference_title(inference)}, % ± 95 %", justify="right")
    by_protocol: dict[tuple, dict[str, EpisodeResult]] = {}
    for result in results:
        by_protocol.setdefault(result.protocol, {})[result.inference] = result
    for cells in by_protocol.values():
        one = next(iter(cells.values()))
        shown = [plus_minus(cells[name].accuracy, cells[name].ci95) if name in cells else "" for name in inferences]
        table.add_row(one.split, str(one.n_way), str(one.k_shot), str(one.episodes), *shown)
    return table
