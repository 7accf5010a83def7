"""Where the figures come from: versions, devices, seeds, fingerprints, wall times, commit."""

from collections.abc import Mapping, Sequence
from typing import Any

from fewshot_sla.reporting.html import element, name, text
from fewshot_sla.reporting.overview.facts import RunFacts
from fewshot_sla.reporting.tables import unique


def provenance_section(runs: Sequence[RunFacts]) -> str:
    """A table with a column a run."""
    found = [provenance(run) for run in runs]
    keys = unique(key for facts in found for key in facts)
    head = "".join(f'<th scope="col">{name(run.name)}</th>' for run in runs)
    rows = []
    for key in keys:
        cells = "".join(f"<td>{text(facts.get(key, ''))}</td>" for facts in found)
        rows.append(f'<tr><th scope="row">{text(key)}</th>{cells}</tr>')
    table = element(
        "table",
        [f'<thead><tr><th scope="col"></th>{head}</tr></thead>', element("tbody", rows)],
        class_="list",
    )
    return element("div", [table], class_="scroll")


def provenance(run: RunFacts) -> dict[str, str]:
    """What is known, by what it is called on the page."""
    details, training = run.details, run.details.get("training") or {}
    seconds = run.details.get("wall_time_s") or {}
    found: dict[str, Any] = {
        "run folder": run.folder.path.absolute(),
        "steps": f"{run.steps:,} of {run.planned:,}",
        "seed": run.configuration.get("seed"),
        "commit in training": training.get("commit"),
        "commit in the test": details.get("commit"),
        "trained on": run.state.get("train_images"),
        "fingerprint of the training images": run.state.get("fingerprint"),
        **{f"fingerprint of {split}": mark for split, mark in _fingerprints(run).items()},
        "trained with": _facts(training.get("device")),
        "tested with": _facts(details.get("device")),
        "wall time": ", ".join(f"{what} {value:,} s" for what, value in seconds.items()),
        "versions in training": _facts(training.get("versions")),
    }
    if details.get("versions") != training.get("versions"):
        found["versions in the test"] = _facts(details.get("versions"))
    return {key: str(value) for key, value in found.items() if value not in (None, "")}


def _fingerprints(run: RunFacts) -> dict[str, str]:
    return {f"{entry['dataset']}/{entry['split']}": str(entry.get("fingerprint", "")) for entry in run.entries}


def _facts(values: object) -> str:
    if not isinstance(values, Mapping):
        return ""
    return ", ".join(f"{key} {value}" for key, value in values.items())
