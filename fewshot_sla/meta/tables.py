"""Results of a meta-learner as a table for a terminal."""

from collections.abc import Sequence

from fewshot_sla.inference import inference_title
from fewshot_sla.meta.results import EpisodeResult
from fewshot_sla.reporting.tables import Table, percent, unique


def results_table(results: Sequence[EpisodeResult], title: str) -> Table:
    """Results of one run: a row a protocol, a column an inference."""
    inferences = unique(result.inference for result in results)
    table = Table(title, ["split", "way", "shot", "episodes", *(f"{inference_title(name)}, %" for name in inferences)])
    by_protocol: dict[tuple, dict[str, EpisodeResult]] = {}
    for result in results:
        by_protocol.setdefault(result.protocol, {})[result.inference] = result
    for cells in by_protocol.values():
        one = next(iter(cells.values()))
        shown = [percent(cells[name].accuracy, cells[name].ci95) if name in cells else None for name in inferences]
        table.add(one.split, one.n_way, one.k_shot, one.episodes, *shown)
    return table
