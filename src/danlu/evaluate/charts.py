"""Small charts as inline SVG: no script, no request; their colours are the page's CSS variables, so dark mode works.

A chart is drawn 360 units wide, the width of a phone: its 11-unit letters stay legible there and grow on a desk.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

WIDTH, HEIGHT = 360.0, 220.0
_TOP, _RIGHT, _BOTTOM = 10.0, 14.0, 38.0
_SLACK = 0.02  # data may pass the last tick by this much of a step before there is another tick
_LETTER = 6.4  # mean width of a digit at 11 units, rounded up


@dataclass(frozen=True)
class Line:
    """One curve. `kind` is a CSS class: `first` (the accent), `second` (muted, dashed)."""

    points: Sequence[tuple[float, float | None]]
    kind: str = "first"


@dataclass(frozen=True)
class Scale:
    """A range of numbers and the ticks on it."""

    low: float
    high: float
    ticks: tuple[float, ...]

    def part(self, value: float) -> float:
        """Where a value lies, 0 … 1."""
        return (value - self.low) / (self.high - self.low)


def nice(values: Iterable[float], most: int = 5, *, whole: bool = False, zero: bool = False) -> Scale:
    """A scale around some values, its ticks at multiples of 1, 2 or 5 times a power of ten.

    Args:
        values: finite numbers; none at all gives 0 … 1.
        most: about how many steps.
        whole: ticks are whole numbers, and the scale ends at the data.
        zero: the scale begins at zero.
    """
    found = [float(value) for value in values if math.isfinite(value)] or [0.0, 1.0]
    low, high = min(found + [0.0] * zero), max(found)
    if high - low <= 1e-12 * max(abs(low), abs(high), 1e-300):
        half = abs(high) / 10 or 0.5
        low, high = low - (0.0 if zero or not high else half), high + half
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    step = max(step, 1.0) if whole else step
    places = 3 - math.floor(math.log10(step))
    first, last = math.floor(low / step + _SLACK), math.ceil(high / step - _SLACK)
    ticks = tuple(round(index * step, places) for index in range(first, last + 1))
    if whole:
        return Scale(low, high, tuple(tick for tick in ticks if low <= tick <= high))
    return Scale(ticks[0], ticks[-1], ticks)


def tick_texts(ticks: Sequence[float]) -> list[str]:
    """The ticks with as many decimals as they need, all alike; in thousands or millions where they are large."""
    largest = max((abs(tick) for tick in ticks), default=0.0)
    step = min((b - a for a, b in pairwise(ticks)), default=largest or 1.0)
    if largest and (step < 1e-4 or largest >= 1e12):
        digits = max(math.floor(math.log10(largest)) - math.floor(math.log10(step) + 1e-9), 0)
        return [f"{tick:.{digits}e}".replace("-", "\N{MINUS SIGN}") if tick else "0" for tick in ticks]
    unit, letter = next(((u, name) for u, name in ((1e9, "G"), (1e6, "M"), (1e4, "k")) if largest >= u), (1.0, ""))
    unit = 1e3 if letter == "k" else unit
    decimals = max(0, -math.floor(math.log10(step / unit) + 1e-9))
    texts = [f"{tick / unit:.{decimals}f}{letter if tick else ''}" for tick in ticks]
    return [text.replace("-", "\N{MINUS SIGN}") for text in texts]


@dataclass(frozen=True)
class _Plot:
    """The area inside the axes."""

    x_scale: Scale
    y_scale: Scale
    left: float
    height: float = HEIGHT

    def x(self, value: float) -> float:
        return round(self.left + self.x_scale.part(value) * (WIDTH - _RIGHT - self.left), 2)

    def y(self, value: float) -> float:
        bottom = self.height - _BOTTOM
        return round(bottom - self.y_scale.part(value) * (bottom - _TOP), 2)

    def axes(self, x_label: str, y_label: str) -> str:
        parts = []
        for tick, text in zip(self.y_scale.ticks, tick_texts(self.y_scale.ticks), strict=True):
            y = self.y(tick)
            parts.append(f'<line class="grid" x1="{self.left}" x2="{WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>')
            parts.append(f'<text class="tick" x="{self.left - 6}" y="{y + 3.8}" text-anchor="end">{text}</text>')
        base = self.height - _BOTTOM
        for tick, text in zip(self.x_scale.ticks, tick_texts(self.x_scale.ticks), strict=True):
            x = self.x(tick)
            parts.append(f'<line class="axis" x1="{x}" x2="{x}" y1="{base}" y2="{base + 4}"/>')
            parts.append(f'<text class="tick" x="{x}" y="{base + 16}" text-anchor="middle">{text}</text>')
        parts.append(f'<line class="axis" x1="{self.left}" x2="{WIDTH - _RIGHT}" y1="{base}" y2="{base}"/>')
        middle = (self.left + WIDTH - _RIGHT) / 2
        parts.append(_label(middle, self.height - 5, x_label))
        if y_label:
            parts.append(_label(10, (_TOP + base) / 2, y_label, turn=True))
        return "".join(parts)


def _label(x: float, y: float, text: str, *, turn: bool = False) -> str:
    place = f' transform="rotate(-90 {x} {y})"' if turn else ""
    return f'<text class="label" x="{x}" y="{y}" text-anchor="middle"{place}>{escape(text)}</text>'


def _plot(x_scale: Scale, y_scale: Scale, y_label: str = "", height: float = HEIGHT) -> _Plot:
    widest = max((len(text) for text in tick_texts(y_scale.ticks)), default=1)
    return _Plot(x_scale, y_scale, round(widest * _LETTER + (26 if y_label else 10), 1), height)


def _svg(title: str, body: str, height: float = HEIGHT) -> str:
    name = escape(title, quote=True)
    box = f'viewBox="0 0 {WIDTH:g} {height:g}"'
    return f'<svg class="chart" {box} role="img" aria-label="{name}"><title>{name}</title>{body}</svg>'


def line_chart(
    title: str,
    lines: Sequence[Line],
    *,
    x_label: str,
    y_label: str = "",
    mark: float | None = None,
    mark_text: str = "best",
) -> str:
    """Curves over whole numbers (epochs), one of which may be marked.

    Args:
        title: what it shows, for those who do not see it.
        lines: the curves; a None breaks one.
        x_label: under the axis.
        y_label: beside the axis.
        mark: x of the upright line.
        mark_text: what it says.
    """
    points = [point for line in lines for point in line.points]
    seen = [y for _, y in points if y is not None and math.isfinite(y)]
    plot = _plot(nice([x for x, _ in points], 6, whole=True), nice(seen), y_label)
    body = [plot.axes(x_label, y_label)]
    if mark is not None:
        body.append(_mark(plot, mark, mark_text))
    for line in lines:
        for piece in _pieces(line.points):
            path = " ".join(f"{plot.x(x)},{plot.y(y)}" for x, y in piece)
            if len(piece) == 1:
                body.append(
                    f'<circle class="dot {line.kind}" cx="{plot.x(piece[0][0])}" cy="{plot.y(piece[0][1])}" r="3"/>'
                )
            else:
                body.append(f'<polyline class="line {line.kind}" points="{path}"/>')
    return _svg(title, "".join(body))


def _mark(plot: _Plot, x: float, text: str) -> str:
    place = plot.x(x)
    right = place > plot.left + (WIDTH - _RIGHT - plot.left) * 0.6
    at, anchor = (place - 5, "end") if right else (place + 5, "start")
    line = f'<line class="mark" x1="{place}" x2="{place}" y1="{_TOP}" y2="{plot.height - _BOTTOM}"/>'
    return line + f'<text class="tick halo" x="{at}" y="{_TOP + 9}" text-anchor="{anchor}">{escape(text)}</text>'


def _pieces(points: Sequence[tuple[float, float | None]]) -> list[list[tuple[float, float]]]:
    pieces: list[list[tuple[float, float]]] = [[]]
    for x, y in points:
        if y is None or not math.isfinite(y):
            pieces.append([])
        else:
            pieces[-1].append((x, y))
    return [piece for piece in pieces if piece]


def scatter(title: str, points: Sequence[tuple[float, float]], *, x_label: str, y_label: str) -> str:
    """Points, and the line where both are equal."""
    both = nice([value for point in points for value in point], 4)
    plot = _plot(both, both, y_label, 300.0)
    diagonal = _diagonal(plot)
    dots = "".join(f'<circle class="point" cx="{plot.x(x)}" cy="{plot.y(y)}" r="2.4"/>' for x, y in points)
    return _svg(title, plot.axes(x_label, y_label) + diagonal + dots, 300.0)


def _diagonal(plot: _Plot) -> str:
    low, high = plot.x_scale.low, plot.x_scale.high
    ends = f'x1="{plot.x(low)}" y1="{plot.y(low)}" x2="{plot.x(high)}" y2="{plot.y(high)}"'
    return f'<line class="mark" {ends}/>'


@dataclass(frozen=True)
class Bin:
    """One bin of a reliability chart: mean probability, observed share and its interval, all 0 … 1."""

    probability: float
    share: float
    low: float
    high: float


def reliability(title: str, bins: Sequence[Bin], *, x_label: str, y_label: str) -> str:
    """Stated probability against observed share, with the interval of each share."""
    ticks = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    plot = _plot(Scale(0, 1, ticks), Scale(0, 1, ticks), y_label, 300.0)
    body = [plot.axes(x_label, y_label), _diagonal(plot)]
    for item in bins:
        x = plot.x(item.probability)
        body.append(f'<line class="whisker" x1="{x}" x2="{x}" y1="{plot.y(item.low)}" y2="{plot.y(item.high)}"/>')
    path = " ".join(f"{plot.x(item.probability)},{plot.y(item.share)}" for item in bins)
    body.append(f'<polyline class="line first" points="{path}"/>')
    body += [
        f'<circle class="dot first" cx="{plot.x(item.probability)}" cy="{plot.y(item.share)}" r="3.4"/>'
        for item in bins
    ]
    return _svg(title, "".join(body), 300.0)


def histogram(title: str, edges: Sequence[float], counts: Sequence[int], *, x_label: str, y_label: str = "") -> str:
    """Counts in bins."""
    inner = nice(edges, 5)
    ticks = tuple(tick for tick in inner.ticks if edges[0] <= tick <= edges[-1])
    plot = _plot(Scale(edges[0], edges[-1], ticks), nice(counts, 4, zero=True), y_label)
    base = plot.y(0)
    bars = []
    for left, right, count in zip(edges[:-1], edges[1:], counts, strict=True):
        x, width = plot.x(left), max(plot.x(right) - plot.x(left) - 1, 0.5)
        bars.append(
            f'<rect class="bar" x="{x}" y="{plot.y(count)}" width="{width:.2f}" height="{base - plot.y(count):.2f}"/>'
        )
    return _svg(title, plot.axes(x_label, y_label) + "".join(bars))


def spark(title: str, counts: Sequence[float]) -> str:
    """A tiny histogram without axes, 96 × 24."""
    most = max(counts, default=0) or 1
    width = 96 / max(len(counts), 1)
    bars = "".join(
        f'<rect x="{index * width:.2f}" y="{24 - 24 * count / most:.2f}" width="{max(width - 1, 0.8):.2f}" '
        f'height="{24 * count / most:.2f}"/>'
        for index, count in enumerate(counts)
    )
    name = escape(title, quote=True)
    return f'<svg class="spark" viewBox="0 0 96 24" role="img" aria-label="{name}"><title>{name}</title>{bars}</svg>'


def whisker(title: str, value: float, low: float | None, high: float | None, scale: Scale, *, strong: bool) -> str:
    """A value and its interval on a scale it shares with others: one line as wide as its box."""
    kind, name = ("first" if strong else "second"), escape(title, quote=True)
    place = f"{100 * scale.part(value):.2f}%"
    body = "".join(
        f'<line class="grid" x1="{100 * scale.part(tick):.2f}%" x2="{100 * scale.part(tick):.2f}%" y1="0" y2="100%"/>'
        for tick in scale.ticks
    )
    if low is not None and high is not None:
        ends = f'x1="{100 * scale.part(low):.2f}%" x2="{100 * scale.part(high):.2f}%"'
        body += f'<line class="range {kind}" {ends} y1="50%" y2="50%"/>'
    body += f'<circle class="dot {kind}" cx="{place}" cy="50%" r="5"/>'
    return f'<svg class="whisker-row" role="img" aria-label="{name}"><title>{name}</title>{body}</svg>'


def whisker_axis(scale: Scale) -> str:
    """The ticks under a column of whiskers."""
    texts = tick_texts(scale.ticks)
    last = len(texts) - 1
    parts = []
    for index, (tick, text) in enumerate(zip(scale.ticks, texts, strict=True)):
        anchor = "start" if index == 0 else "end" if index == last else "middle"
        parts.append(
            f'<text class="tick" x="{100 * scale.part(tick):.2f}%" y="12" text-anchor="{anchor}">{text}</text>'
        )
    return f'<svg class="whisker-axis" aria-hidden="true">{"".join(parts)}</svg>'
