"""What several runs are called beside one another, and which of their inferences is meant where none is named."""

from collections.abc import Sequence

from episodes.errors import UserError
from fewshot_sla.runs.checkpoint import load_state
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.runs.results import Result, read_results


def distinct_names(folders: Sequence[RunFolder]) -> list[str]:
    """The shortest part of each path that tells the runs apart: what all paths begin and end with is left out.

    >>> distinct_names([RunFolder("runs/sla/seed0"), RunFolder("runs/da/seed0")])
    ['sla', 'da']

    Raises:
        UserError: if a run is given twice.
    """
    paths = [folder.path.resolve().parts for folder in folders]
    twice = [str(folder.path) for folder, path in zip(folders, paths, strict=True) if paths.count(path) > 1]
    if twice:
        raise UserError(f"{twice[0]}: the run is given twice")
    first = _shared(paths)
    rests = [path[first:] for path in paths]
    last = _shared([rest[::-1] for rest in rests])
    return ["/".join(rest[: len(rest) - last]) for rest in rests]


def primary_inference(folder: RunFolder) -> str:
    """Name of the inference that the run's best checkpoint was chosen by, as checkpoint or results say it.

    Raises:
        UserError: if there is no run, or neither of them says.
    """
    folder.require()
    named = load_state(folder.checkpoint).get("primary")
    if named:
        return str(named)
    results = read_results(folder, Result) if folder.results.exists() else []
    for result in results:
        if result.primary:
            return result.inference
    raise UserError(
        f"{folder.path}: neither checkpoint nor results say by which inference the best weights were chosen; "
        "name one with --inference"
    )


def _shared(paths: Sequence[tuple[str, ...]]) -> int:
    """How many parts all paths begin with; one part of each is left."""
    least = min(len(path) for path in paths) - 1
    return next((place for place in range(least) if len({path[place] for path in paths}) > 1), least)
