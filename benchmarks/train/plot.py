"""Ratios as bars on a logarithmic scale, one panel for each case, in SVG that stands alone.

The report's charts (`danlu.evaluate.charts`) take their colours from the page they stand in and have no such scale.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

_WIDTH, _LEFT, _RIGHT, _ROW, _HEAD = 720, 190, 56, 20, 34
_STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #333 }
  .title { font-weight: 600; font-size: 13px } .tick { font-size: 10px; fill: #777 }
  .grid { stroke: #ddd } .one { stroke: #888; stroke-dasharray: 3 3 }
  .bar { fill: #9aa7b5 } .danlu { fill: #d2502d }
  @media (prefers-color-scheme: dark) {
    text { fill: #ddd } .tick { fill: #999 } .grid { stroke: #333 } .one { stroke: #888 } .bar { fill: #66717d }
  }
"""


def plot(bars: Sequence[tuple[str, str, float]]) -> str:
    """(case, toolkit, ratio to the bare loop) as SVG; shorter is faster, the dashed line is the bare loop."""
    low, high = (bound([ratio for _, _, ratio in bars], up=up) for up in (False, True))

    def x(ratio: float) -> float:
        part = math.log(ratio / low) / math.log(high / low)
        return round(_LEFT + part * (_WIDTH - _LEFT - _RIGHT), 1)

    ticks = [tick for tick in (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100) if low <= tick <= high]
    body, top = [], 0
    for case in dict.fromkeys(case for case, _, _ in bars):
        own = sorted((ratio, toolkit) for name, toolkit, ratio in bars if name == case)
        bottom = top + _HEAD + _ROW * len(own)
        body.append(f'<text class="title" x="8" y="{top + 22}">{escape(case)}</text>')
        for tick in ticks:
            kind = "one" if tick == 1 else "grid"
            body.append(f'<line class="{kind}" x1="{x(tick)}" x2="{x(tick)}" y1="{top + _HEAD - 6}" y2="{bottom}"/>')
            body.append(f'<text class="tick" x="{x(tick)}" y="{top + 22}" text-anchor="middle">{tick:g}</text>')
        for row, (ratio, toolkit) in enumerate(own):
            y, kind = top + _HEAD + _ROW * row, "danlu" if toolkit.startswith("Danlu") else "bar"
            name = escape(toolkit.replace("`", ""))
            body.append(f'<text x="{_LEFT - 8}" y="{y + 11}" text-anchor="end">{name}</text>')
            width = max(x(ratio) - _LEFT, 1)
            body.append(f'<rect class="{kind}" x="{_LEFT}" y="{y}" width="{width:.1f}" height="{_ROW - 6}"/>')
            body.append(f'<text x="{_LEFT + width + 5:.1f}" y="{y + 11}">{ratio:.2f}</text>')
        top = bottom + 8
    box = f'viewBox="0 0 {_WIDTH} {top}" width="{_WIDTH}" height="{top}"'
    title = "Processor seconds per training step, as a ratio to the bare eager loop"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {box} role="img" aria-label="{title}">'
    return f"{head}\n<title>{title}</title>\n<style>{_STYLE}</style>\n" + "\n".join(body) + "\n</svg>\n"


def bound(ratios: Sequence[float], *, up: bool) -> float:
    """The end of a scale that holds all ratios, and 1 well inside."""
    return max([2.0, *(ratio * 1.15 for ratio in ratios)]) if up else min([0.5, *(ratio / 1.6 for ratio in ratios)])
