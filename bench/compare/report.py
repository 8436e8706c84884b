"""Writes the results as JSON, as Markdown and as docs/performance.md, without the name of the machine."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterable, Mapping
from typing import Any

from compare.goals import GOALS, Goal
from compare.samples import Row

Results = dict[str, Any]

# The subject that is measured only if a binary is named.
_GIVEN = "rust-given"
# The titles of the columns.
_HEADINGS = {
    "cpu_us": "CPU, µs",
    "cpu_ms": "CPU, ms",
    "p50_us": "p50, µs",
    "p99_us": "p99, µs",
    "first_p50_us": "first byte p50, µs",
    "first_p99_us": "first byte p99, µs",
    "per_second": "per second",
    "mb_per_second": "MB/s",
    "memory_mb": "peak memory, MB",
    "fakes_busy": "fakes busy",
    "start_ms": "exec → first /next, ms",
    "answer_ms": "exec → first answer, ms",
    "own_memory_mb": "its own peak memory, MB",
    "all_memory_mb": "memory in all, MB",
    "stream_memory_kb": "memory of each stream, KB",
    "seconds": "seconds",
    "off_percent": "off, %",
    "core_percent": "of a core, %",
}
_TITLES = {
    "adapter": "**this adapter**",
    "plain": "this adapter as plain Python",
    "rust": "Rust adapter",
    "rust-rc": "Rust adapter, pre-release",
    "rust-given": "Rust adapter, built from source",
    "floor": "C relay",
    "aiohttp": "aiohttp",
    "mangum": "awslambdaric + Mangum",
    "bare-python": "Python alone",
    "app-alone": "the app alone",
    "haproxy": "HAProxy",
    "caddy": "Caddy",
    "emulator": "official emulator",
    "emulator-ours": "this adapter's local Lambda",
}
_INTRODUCTION = """\
# Performance

`make bench` writes this page. The figures are from one run, on {machine}. Only ratios within one run are meaningful:
the candidates of a table were up at the same time and took turns. Figures are medians over the turns, and ratios are
medians of the ratios within a turn.

Rows of the runtime are measured twice: with all processes on one core, as in a small function, and on two.

The adapter is measured as in images and layers, with its hot path compiled (`deploy/build-wheel`).

CPU is the CPU time of the candidate itself, user and system, per invocation or request. Only in cold starts does it
include the app. Latency is the time from the delivery of the invocation to the last byte of its response, including the
app's part. *Fakes busy* is the load of the busier of the two programs on both sides of a candidate: if it is far below
1, they do not slow the candidate down.
{versions}

![CPU time against the C relay's](performance.svg)

How the cost grows with the bytes of a response, its headers, the clients of the proxy, and its capped streams:

![Growth curves](performance-growth.svg)
"""
# Measured by hand with callgrind, perf, /proc and wrk. Measure again before you change a figure.
_LIMITS = """\
## What limits the figures

- **Small requests.** An invocation waits twice for another process: for the app's answer and for the next event. Where
  an idle core wakes up slowly, as in many virtual machines, this costs more than the work. With a spinner that kept
  both cores awake, 1 KB on two cores took 205 µs instead of 252, and 2.4 times the C relay's CPU instead of 5.4. The
  adapter itself takes 288,700 instructions for an invocation of 1 KB (callgrind, compiled).
- **Cold start.** Python alone takes 28 million instructions from start to end, the adapter 71 million until its imports
  are done (callgrind). No function takes more than 7 % of them. Splitting the compiled library so that the runtime does
  not load the proxy's part saves 0.9 % of them.
- **Memory of the runtime.** In a virtual environment it has 14.8 MB. The interpreter alone has 8.8 MB of them, the
  compiled library 2.1 MB, Python objects 1.4 MB. Splitting the library saves 0.7 MB.
- **Proxy.** Under 32 clients 37 % of the CPU time is the kernel's, 45 % the interpreter's and 12 % the compiled code's
  (perf). uvloop instead of asyncio saves 14 % with 32 clients and 13 % with 256, and leaves p99 unchanged. With wrk as
  the load, 256 clients have a p99 of 3.1 times nginx's.
- **adapter dev.** 125 ms of its start are imports: 343 modules. click takes 25 ms, asyncio 18 ms. No module of the
  adapter takes more than about 3 ms.
"""
_RUST_VERSIONS = """
"Rust adapter" is version {rust} of the AWS Lambda Web Adapter, and "Rust adapter, pre-release" is its version
{rust-rc}. Other versions of it were not measured.
"""


def machine() -> dict[str, str]:
    """Return a description of the machine without its name."""
    return {
        "cores": str(os.cpu_count()),
        "architecture": platform.machine(),
        "kernel": f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }


def as_json(rows: Iterable[Row], versions: Mapping[str, str], missing: Mapping[str, str]) -> Results:
    """Return everything that was measured."""
    return {
        "machine": machine(),
        "versions": dict(versions),
        "missing": dict(missing),
        "rows": [
            {
                "name": row.name,
                "title": row.title,
                "missing": dict(row.missing),
                "samples": {name: list(samples) for name, samples in row.samples.items()},
            }
            for row in rows
        ],
    }


def rows_of(results: Results) -> dict[str, Row]:
    """Return the rows in ``results``, by name."""
    return {row["name"]: Row(**row) for row in results["rows"]}


def as_markdown(results: Results) -> str:
    """Return the text of docs/performance.md."""
    known = results["machine"]
    computer = f"{known['cores']} cores ({known['architecture']}), {known['kernel']}, {known['python']}"
    listed = "; ".join(f"{_title(name)} ({version})" for name, version in results["versions"].items())
    versions = f"\nVersions: {listed}"
    rust = _RUST_VERSIONS.format_map(results["versions"]) if {"rust", "rust-rc"} <= results["versions"].keys() else ""
    absent = "".join(f"\nMissing: {_title(name)}: {why}" for name, why in results["missing"].items())
    rows = rows_of(results)
    parts = [_INTRODUCTION.format(machine=computer, versions=f"{rust}{versions}.{absent}"), _goals_table(rows), _LIMITS]
    return "\n".join([*parts, *map(_row_table, rows.values())])


def _goals_table(rows: Mapping[str, Row]) -> str:
    """Return the table of goals. Goals that differ only in the text or in the Rust adapter's version share a line."""
    groups: dict[tuple[str, str, str, str], list[tuple[Goal, float | None]]] = {}
    for goal in GOALS:
        value = goal.measured(rows)
        if value is not None or goal.than != _GIVEN:
            groups.setdefault(_group(goal, rows), []).append((goal, value))
    lines = [
        "## Goals\n",
        "| workload | figure | against | goal | measured | |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    lines += [_goal_line(group, goals) for group, goals in groups.items()]
    return "\n".join(lines) + "\n"


def _group(goal: Goal, rows: Mapping[str, Row]) -> tuple[str, str, str, str]:
    """Return the cells that the goals of one line share."""
    title = rows[goal.row].title if goal.row in rows else goal.row
    against = _title("rust" if goal.than.startswith("rust") else goal.than or goal.minus)
    if goal.minus:
        against += " (difference)"
    return (
        re.sub(r"( text \w+): .*", r"\1, all forms, one and two cores", title),
        _HEADINGS[goal.figure],
        against,
        goal.bound,
    )


def _goal_line(group: tuple[str, str, str, str], goals: list[tuple[Goal, float | None]]) -> str:
    values = sorted({f"{value:.2f}" for _, value in goals if value is not None}, key=float)
    met = sum(value is not None and goal.holds(value) for goal, value in goals)
    verdict = f"met by {met} of {len(goals)}" if 0 < met < len(goals) else "met" if met else "**missed**"
    shown = " to ".join(dict.fromkeys([values[0], values[-1]])) if values else "not measured"
    return f"| {' | '.join(group)} | {shown} | {verdict if values else ''} |"


def _row_table(row: Row) -> str:
    figures = row.figures()
    headings = " | ".join(_HEADINGS[figure] for figure in figures)
    lines = [f"## {row.title[0].upper()}{row.title[1:]}\n", f"| | {headings} |", f"| --- |{' ---: |' * len(figures)}"]
    for subject in row.samples:
        cells = " | ".join(_cell(row.figure(subject, figure)) for figure in figures)
        lines.append(f"| {_title(subject)} | {cells} |")
    lines += [f"\nMissing: {_title(name)}: {why}" for name, why in row.missing.items() if name != _GIVEN]
    return "\n".join(lines) + "\n"


def _cell(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _title(subject: str) -> str:
    return _TITLES.get(subject, subject)
