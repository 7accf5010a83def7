"""What was trained: the command of each run, how far it got, and what is not as elsewhere in its configuration."""

from collections.abc import Sequence

from fewshot_sla.reporting.html import count, element, name, text
from fewshot_sla.reporting.overview.facts import RunFacts, differences
from fewshot_sla.reporting.overview.parts import Missing

_CHANGED = ' class="changed"'
_NOT_SET = '<span class="soft">–</span>'


def trained_section(runs: Sequence[RunFacts]) -> str:
    """A card a run; below them what differs: from the base of the recipe, or of several runs among themselves."""
    parts = [element("ul", [_card(run) for run in runs], class_="runs")]
    if len(runs) == 1:
        parts += _against_base(runs[0])
    else:
        parts += _between(runs)
        for run in runs:
            parts.append(_folded(f"{name(run.name)} against its base", _against_base(run)))
    for run in runs:
        rows = [[key, value] for key, value in run.configuration.items()]
        whose = "" if len(runs) == 1 else f" of {name(run.name)}"
        parts.append(_folded(f"The whole configuration{whose}", [_table(["Option", "Value"], rows)]))
    return "\n".join(parts)


def _card(run: RunFacts) -> str:
    seed = run.configuration.get("seed", "?")
    best = run.state.get("best") or {}
    steps = f"{run.steps:,} of {run.planned:,} steps"
    if "step" in best and best["step"] != run.steps:
        steps += f", the weights of step {best['step']:,} are kept"
    facts = [f"trained on {name(str(run.state.get('train_images', '?')))}", steps, f"seed {text(seed)}"]
    said = [f"<h3>{name(run.recipe or run.name)}</h3>"]
    if run.recipe and run.recipe != run.name:
        said.append(f'<p class="small soft">{name(run.name)}</p>')
    said.append(f"<p>{', '.join(facts)}.</p>")
    if not run.is_finished:
        again = f"python -m fewshot_sla.{run.program} --resume --run_folder {run.folder.path}"
        said.append(f'<p class="alarm">Not finished: go on with <code>{text(again)}</code></p>')
    if run.command:
        said.append(f'<p class="command"><code>{text(run.command)}</code></p>')
    return element("li", said, class_="card")


def _against_base(run: RunFacts) -> list[str]:
    if isinstance(run.base, Missing):
        return [f'<p class="missing">{name(run.base.why)}</p>']
    changed = differences([run.base, run.configuration])
    if not changed:
        return [f"<p>The configuration is that of <code>{text(run.base_name)}</code>.</p>"]
    heading = f"<p>{count(len(changed), 'option')} not as in <code>{text(run.base_name)}</code>:</p>"
    return [heading, _table(["Option", run.base_name, "this run"], [[key, *values] for key, values in changed.items()])]


def _between(runs: Sequence[RunFacts]) -> list[str]:
    changed = differences([run.configuration for run in runs])
    if not changed:
        return ["<p>All runs have the same configuration.</p>"]
    table = _table(["Option", *(run.name for run in runs)], [[key, *values] for key, values in changed.items()])
    return [f"<p>{count(len(changed), 'option')} in which the runs differ:</p>", table]


def _table(headings: Sequence[str], rows: Sequence[Sequence[str | None]]) -> str:
    """The first column holds names of options; a value that is not as in the first run or the base is marked."""
    head = "".join(f'<th scope="col">{name(heading)}</th>' for heading in headings)
    lines = []
    for key, *values in rows:
        marked = [value != values[0] and bool(place) for place, value in enumerate(values)]
        cells = "".join(
            f"<td{_CHANGED if new else ''}>{_NOT_SET if value is None else _code(value)}</td>"
            for value, new in zip(values, marked, strict=True)
        )
        lines.append(f'<tr><th scope="row"><code>{text(key or "")}</code></th>{cells}</tr>')
    table = element("table", [f"<thead><tr>{head}</tr></thead>", element("tbody", lines)], class_="list options")
    return element("div", [table], class_="scroll")


def _folded(summary: str, parts: Sequence[str]) -> str:
    return element("details", [f"<summary>{summary}</summary>", *parts])


def _code(words: str) -> str:
    return f"<code>{text(words)}</code>"
