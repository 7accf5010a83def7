"""Charts as SVG inside a page: they take its colours, in the light, in the dark and on paper, and need no library.

A series has a number, which is its colour; colours can be told apart by everyone, as in the other pictures, and begin
anew where there are more series. Words in a chart are escaped.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fewshot_sla.reporting.html import element, name, text

COLORS = 6  # that the style sheet has
_WIDTH, _HEIGHT = 400, 260  # units of a chart of lines; shown at about that many CSS pixels
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 10, 10, 40
_DASHES = ("", "6 4", "2 3", "9 3 2 3")
_FEW = 12  # points up to which each is marked
_MAP = 400  # units of a side of a map
MARKERS = (  # shapes that fit a circle of radius 4, drawn around where the pen stands
    "m-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z",
    "m-3.5-3.5h7v7h-7z",
    "m0-4.6l4.3 7.8h-8.6z",
    "m0-4.8l4 4.8l-4 4.8l-4-4.8z",
    "m0 4.6l4.3-7.8h-8.6z",
    "m-1.3-4.2h2.6v2.9h2.9v2.6h-2.9v2.9h-2.6v-2.9h-2.9v-2.6h2.9z",
)


class Line(NamedTuple):
    """One curve of a chart."""

    name: str
    x: NDArray[np.float64]  # [n]
    y: NDArray[np.float64]  # [n]
    series: int  # its colour
    dash: int = 0  # its stroke, for several curves of one series


class Cloud(NamedTuple):
    """Points of a map that look alike."""

    points: NDArray[np.float64]  # [n, 2]
    series: int  # their colour
    marker: int  # their shape


def line_chart(lines: Sequence[Line], x_title: str, y_title: str) -> str:
    """Curves over one axis; where a value is not finite the curve is broken."""
    finite = [np.isfinite(line.y) for line in lines]
    xs = np.concatenate([line.x[kept] for line, kept in zip(lines, finite, strict=True)])
    ys = np.concatenate([line.y[kept] for line, kept in zip(lines, finite, strict=True)])
    if not len(xs):
        return '<p class="soft">No finite values.</p>'
    across, up = ticks(float(xs.min()), float(xs.max())), ticks(float(ys.min()), float(ys.max()))
    frame = _Frame((float(xs.min()), float(xs.max())), (up[0], up[-1]))
    parts = [*_axes(frame, across, up, x_title, y_title)]
    for line, kept in zip(lines, finite, strict=True):
        parts += _curve(frame, line, kept)
    return _svg(parts, _WIDTH, _HEIGHT, f"{y_title} against {x_title}: {', '.join(line.name for line in lines)}")


def scatter(clouds: Sequence[Cloud], label: str) -> str:
    """A map without axes: only who lies beside whom means something."""
    everything = np.concatenate([cloud.points for cloud in clouds])
    low = everything.min(axis=0)
    extent = everything.max(axis=0) - low
    scale = (_MAP - 20) / max(float(extent.max()), 1e-12)
    low = low - ((_MAP - 20) / scale - extent) / 2  # in the middle
    parts = [f'<rect class="ground" width="{_MAP}" height="{_MAP}" rx="6"/>']
    for cloud in clouds:
        shape = MARKERS[cloud.marker % len(MARKERS)]
        hollow = " hollow" if cloud.marker // len(MARKERS) % 2 else ""
        path = "".join(f"M{x:.1f} {y:.1f}{shape}" for x, y in 10 + scale * (cloud.points - low))
        parts.append(f'<path class="point{hollow} c{cloud.series % COLORS}" d="{path}"/>')
    return _svg(parts, _MAP, _MAP, label)


def legend(entries: Sequence[tuple[str, int, int]]) -> str:
    """Names of lines beside a piece of each: (name, series, dash)."""
    return _legend(
        (label, f'<line class="curve c{series % COLORS}" x1="0" y1="6" x2="26" y2="6"{_dashed(dash)}/>', 26)
        for label, series, dash in entries
    )


def marker_legend(entries: Sequence[tuple[str, int | None, int]]) -> str:
    """Names of points beside one of each: (name, series or None for any, marker)."""
    return _legend((label, _marker(series, marker), 12) for label, series, marker in entries)


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers, at equal distances, from at most ``low`` to at least ``high``.

    >>> ticks(0.13, 0.92)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    >>> ticks(60.0, 61.7)
    [60.0, 60.5, 61.0, 61.5, 62.0]
    """
    spread = high - low if high - low > 1e-9 * max(abs(low), 1e-3) else 1.0  # below it is rounding
    power = 10.0 ** math.floor(math.log10(spread / about))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor * about >= spread * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil((low + spread) / step - 1e-9)
    return [round(number * step, 12) for number in range(first, last + 1)]


class _Frame(NamedTuple):
    """Where values lie on the canvas."""

    x: tuple[float, float]
    y: tuple[float, float]

    def across(self, x: float) -> float:
        low, high = self.x
        share = (x - low) / (high - low) if high > low else 0.5
        return _LEFT + 6 + share * (_WIDTH - _LEFT - _RIGHT - 12)

    def up(self, y: float) -> float:
        low, high = self.y
        return _HEIGHT - _BOTTOM - (y - low) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)


def _axes(frame: _Frame, across: list[float], up: list[float], x_title: str, y_title: str) -> Iterator[str]:
    for value in up:
        y = frame.up(value)
        yield f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text class="tick" x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_short(value)}</text>'
    bottom = _HEIGHT - _BOTTOM
    yield f'<line class="axis" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{bottom}" y2="{bottom}"/>'
    for value in across:
        if frame.x[0] <= value <= frame.x[1]:
            x = frame.across(value)
            yield f'<text class="tick" x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{_short(value)}</text>'
    yield f'<text class="what" x="{(_LEFT + _WIDTH - _RIGHT) / 2:.0f}" y="{_HEIGHT - 6}">{text(x_title)}</text>'
    middle = (_TOP + bottom) / 2
    yield f'<text class="what" x="12" y="{middle:.0f}" transform="rotate(-90 12 {middle:.0f})">{text(y_title)}</text>'


def _curve(frame: _Frame, line: Line, kept: NDArray[np.bool_]) -> Iterator[str]:
    pen, path = "M", []
    for x, y, known in zip(line.x, line.y, kept, strict=True):
        if known:
            path.append(f"{pen}{frame.across(x):.1f} {frame.up(y):.1f}")
        pen = "L" if known else "M"
    color = f"c{line.series % COLORS}"
    yield f'<path class="curve {color}"{_dashed(line.dash)} d="{"".join(path)}"/>'
    if kept.sum() <= _FEW:
        for x, y in zip(line.x[kept], line.y[kept], strict=True):
            yield f'<circle class="dot {color}" cx="{frame.across(x):.1f}" cy="{frame.up(y):.1f}" r="3.5"/>'


def _dashed(dash: int) -> str:
    pattern = _DASHES[dash % len(_DASHES)]
    return f' stroke-dasharray="{pattern}"' if pattern else ""


def _marker(series: int | None, marker: int) -> str:
    color = "any" if series is None else f"c{series % COLORS}"
    hollow = " hollow" if marker // len(MARKERS) % 2 else ""
    return f'<path class="point{hollow} {color}" d="M6 6{MARKERS[marker % len(MARKERS)]}"/>'


def _legend(entries: Iterator[tuple[str, str, int]]) -> str:
    items = [
        f'<li><svg width="{width}" height="12" viewBox="0 0 {width} 12" aria-hidden="true">{drawn}</svg> '
        f"{name(label)}</li>"
        for label, drawn, width in entries
    ]
    return element("ul", items, class_="legend")


def _svg(parts: Sequence[str], width: int, height: int, label: str) -> str:
    return element("svg", parts, class_="chart", viewBox=f"0 0 {width} {height}", role="img", aria_label=label)


def _short(value: float) -> str:
    """A tick as short as can be.

    >>> _short(200000.0), _short(0.25), _short(1500.0)
    ('200k', '0.25', '1500')
    """
    if abs(value) >= 10_000 and value % 1000 == 0:
        return f"{value / 1000:g}k"
    return f"{value:g}"
