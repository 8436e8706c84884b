"""Draws the results as SVG: bars of the CPU time relative to the floor, and curves of the growing cost."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from compare.samples import Row

_ROWS = (
    *("1k", "1k@1", "64k", "binary-up", "binary-down", "text-up-json", "text-up-prose", "text-down-json"),
    *("text-down-prose", "stream-length", "stream-length@1", "stream-chunks", "sse"),
)
_COLOURS = {
    "adapter": "#1f6feb",
    "rust": "#b7410e",
    "rust-rc": "#d9926b",
    "floor": "#57606a",
    "aiohttp": "#8c959f",
    "nginx": "#2da44e",
    "haproxy": "#8250df",
    "caddy": "#bf8700",
}
_NAMES = {
    "adapter": "this adapter",
    "rust": "Rust adapter",
    "rust-rc": "Rust, pre-release",
    "floor": "C relay",
    "nginx": "nginx",
    "haproxy": "HAProxy",
    "caddy": "Caddy",
}
# The maximum length of a bar. Longer bars are cut; the number beside the bar is still the true one.
_LONGEST = 32.0
_BAR = 0.18


def pictures(rows: Mapping[str, Row]) -> dict[str, str]:
    """Return the pictures for which ``rows`` contain the data, by the name of the file."""
    # Text is drawn as outlines, so it does not depend on the viewer's fonts. With the salt, ids are the same in each
    # run.
    with mpl.rc_context({"svg.fonttype": "path", "font.size": 9.0, "svg.hashsalt": "performance"}):
        return {"performance.svg": _bars(rows), "performance-growth.svg": _growth(rows)}


def _bars(rows: Mapping[str, Row]) -> str:
    shown = [rows[name] for name in _ROWS if name in rows]
    figure = Figure(figsize=(9, 1.2 + 0.8 * len(shown)), layout="constrained")
    axes = figure.subplots()
    for number, subject in enumerate(("adapter", "rust", "rust-rc", "aiohttp")):
        found = [(place, row.ratio("cpu_us", subject, "floor")) for place, row in enumerate(shown)]
        bars = [(place + number * _BAR, ratio) for place, ratio in found if ratio is not None]
        drawn = axes.barh(
            [place for place, _ in bars],
            [min(ratio, _LONGEST) for _, ratio in bars],
            height=_BAR * 0.9,
            color=_COLOURS[subject],
            label=_NAMES.get(subject, subject),
        )
        axes.bar_label(drawn, [f"{ratio:.1f}" for _, ratio in bars], padding=3, fontsize=7)
    axes.set_yticks([place + 1.5 * _BAR for place in range(len(shown))], [row.title for row in shown])
    axes.invert_yaxis()
    # Room for the number at the end of the longest bar.
    axes.set_xlim(right=axes.get_xlim()[1] * 1.05)
    axes.set_title("CPU time, in multiples of the C relay's (less is better)", loc="left", weight="bold")
    axes.legend(loc="lower right", frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    return _as_svg(figure)


def _growth(rows: Mapping[str, Row]) -> str:
    figure = Figure(figsize=(9, 7), layout="constrained")
    panels = figure.subplots(2, 2)
    _curves(
        panels[0][0],
        rows,
        r"grow-(\d+)",
        ("adapter", "rust", "rust-rc", "floor", "aiohttp"),
        "cpu_us",
        title="Bytes of one streamed response",
        across="bytes",
        up="CPU, µs",
    )
    _curves(
        panels[0][1],
        rows,
        r"grow-headers-(\d+)",
        ("adapter", "rust", "rust-rc", "floor", "aiohttp"),
        "cpu_us",
        title="Headers both ways",
        across="headers",
        up="CPU, µs",
    )
    _curves(
        panels[1][0],
        rows,
        r"proxy-(\d+)",
        ("adapter", "nginx", "haproxy", "caddy", "aiohttp"),
        "p99_us",
        title="Clients of the proxy, 1 KB",
        across="clients",
        up="p99, µs",
    )
    _curves(
        panels[1][1],
        rows,
        r"throttle-(\d+)",
        ("adapter",),
        "memory_mb",
        title="Streams that a cap of 64 KiB/s holds back",
        across="streams",
        up="peak memory, MB",
        scale="linear",
        chosen=lambda row: "64 KiB" in row.title,
    )
    return _as_svg(figure)


def _curves(
    axes: Axes,
    rows: Mapping[str, Row],
    pattern: str,
    subjects: tuple[str, ...],
    figure: str,
    *,
    title: str,
    across: str,
    up: str,
    scale: str = "log",
    chosen: Callable[[Row], bool] = lambda _: True,
) -> None:
    """Draw one panel: ``figure`` of each subject in the rows whose names match, over the number in the name."""
    points = sorted(
        (int(found[1]), row) for name, row in rows.items() if (found := re.fullmatch(pattern, name)) and chosen(row)
    )
    for subject in subjects:
        line = [(place, value) for place, row in points if (value := row.figure(subject, figure)) is not None]
        if line:
            axes.plot(*zip(*line, strict=True), "o-", color=_COLOURS[subject], label=_NAMES.get(subject, subject))
    axes.set_xscale(scale)
    axes.set_yscale(scale)
    if scale == "linear":
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
    axes.set_title(title, loc="left", weight="bold")
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    if axes.lines:
        axes.legend(frameon=False, fontsize=8)


def _as_svg(figure: Figure) -> str:
    written = io.StringIO()
    # Without a date, so that the same results lead to the same file.
    figure.savefig(written, format="svg", metadata={"Date": None}, bbox_inches="tight")
    return written.getvalue()
