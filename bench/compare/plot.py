"""One picture of the results: CPU time against the floor's, as bars, in SVG."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from compare.samples import Row

_ROWS = (
    *("1k", "1k@1", "64k", "binary-up", "binary-down", "text-up-json", "text-up-prose", "text-down-json"),
    *("text-down-prose", "stream-length", "stream-length@1", "stream-chunks", "sse"),
)
_COLOURS = {"adapter": "#1f6feb", "rust": "#b7410e", "rust-rc": "#d9926b", "aiohttp": "#8c959f"}
_NAMES = {"adapter": "this adapter", "rust": "Rust adapter", "rust-rc": "Rust, pre-release", "aiohttp": "aiohttp"}
_WIDTH, _LEFT, _BAR, _GAP, _TOP = 960, 350, 12, 16, 64
# Longer bars are cut, and their numbers tell.
_LONGEST = 32.0


def as_svg(rows: Mapping[str, Row]) -> str:
    """The picture."""
    parts: list[str] = []
    y = _TOP
    for row in (rows[name] for name in _ROWS if name in rows):
        bars = [(name, row.ratio("cpu_us", name, "floor")) for name in _COLOURS]
        found = [(name, ratio) for name, ratio in bars if ratio is not None]
        middle = y + len(found) * _BAR / 2 + 4
        parts.append(f'<text x="{_LEFT - 10}" y="{middle:g}" text-anchor="end">{escape(row.title)}</text>')
        for name, ratio in found:
            width = min(ratio, _LONGEST) / _LONGEST * (_WIDTH - _LEFT - 60)
            parts.append(f'<rect x="{_LEFT}" y="{y}" width="{width:.1f}" height="{_BAR - 2}" fill="{_COLOURS[name]}"/>')
            parts.append(f'<text x="{_LEFT + width + 5:.1f}" y="{y + _BAR - 3}" class="n">{ratio:.1f}</text>')
            y += _BAR
        y += _GAP
    return _document(_legend() + "".join(parts), height=y)


def _legend() -> str:
    parts = ['<text x="10" y="22" class="t">CPU time, in multiples of the C relay\'s (less is better)</text>']
    for number, (name, colour) in enumerate(_COLOURS.items()):
        x = _LEFT + number * 140
        parts.append(f'<rect x="{x}" y="36" width="10" height="10" fill="{colour}"/>')
        parts.append(f'<text x="{x + 15}" y="45">{_NAMES[name]}</text>')
    return "".join(parts)


def _document(content: str, *, height: int) -> str:
    style = "text{font:12px sans-serif;fill:#24292f}.n{font-size:10px}.t{font-size:14px;font-weight:bold}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}">'
        f'<style>{style}</style><rect width="100%" height="100%" fill="#fff"/>{content}</svg>\n'
    )
