"""Pictures with what was predicted: episodes of a few-shot run, mistakes of a classifier."""

from collections.abc import Sequence

from fewshot_sla.reporting.html import element, image, name, text
from fewshot_sla.reporting.overview.layout import beside
from fewshot_sla.reporting.overview.parts import Asked, Example, ExampleRow, Missing

_BOX = 44  # CSS pixels


def examples_section(runs: Sequence[tuple[str, tuple[Example, ...] | Missing]]) -> str:
    """The examples of each run, one below the other."""
    return beside(runs, lambda examples: "\n".join(_example(example, len(runs)) for example in examples))


def _example(example: Example, runs: int) -> str:
    level = "h4" if runs > 1 else "h3"
    parts = [f"<{level}>{text(example.title)}</{level}>"]
    if example.note:
        parts.append(f'<p class="small soft">{text(example.note)}</p>')
    if example.rows:
        parts.append(element("ul", [_row(row) for row in example.rows], class_="rows"))
    return element("div", parts, class_="example")


def _row(row: ExampleRow) -> str:
    place = f'<span class="place">{text(row.place)}</span>' if row.place else ""
    parts = [f'<p class="of">{place}{name(row.label)}</p>']
    if row.known:
        known = [f"<li>{image(picture, f'support: {row.label}', _BOX, lossy=True)}</li>" for picture in row.known]
        parts.append(element("ul", known, class_="known"))
    parts.append(element("ul", [_asked(asked, row.label) for asked in row.asked], class_="asked"))
    return element("li", parts)


def _asked(asked: Asked, label: str) -> str:
    if asked.right:
        return f'<li class="right">{image(asked.pixels, f"{label}, right", _BOX, lossy=True)}</li>'
    picture = image(asked.pixels, f"{label}, taken for {asked.given}", _BOX, lossy=True)
    return (
        f'<li class="mistaken" title="taken for {text(asked.given)}">{picture}<span>{name(asked.caption)}</span></li>'
    )
