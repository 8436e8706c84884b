"""The guard: ratios of quick mode against those that were committed. A ratio that is worse by more is a regression."""

from __future__ import annotations

import json
from collections.abc import Mapping

from compare.places import BENCH
from compare.samples import Row

BASELINE = BENCH / "baseline.json"
# How much worse than the baseline a ratio may be; more is reported.
TOLERANCE = 0.15
# Row, figure, and what stands in for the floor; all of them are better when they are smaller.
_GUARDED = (
    ("1k", "cpu_us", "floor"),
    ("1k", "p50_us", "floor"),
    ("1k@1", "cpu_us", "floor"),
    ("64k", "cpu_us", "floor"),
    ("text-up-json", "cpu_us", "floor"),
    ("text-up-prose-spaced", "cpu_us", "floor"),
    ("text-down-json", "cpu_us", "floor"),
    ("text-down-prose", "cpu_us", "floor"),
    ("binary-down", "cpu_us", "floor"),
    ("stream-length", "cpu_us", "floor"),
    ("stream-length@1", "cpu_us", "floor"),
    ("first-byte", "first_p50_us", "floor"),
    ("start", "cpu_ms", "bare-python"),
    ("proxy-1", "cpu_us", "aiohttp"),
    ("proxy-32", "cpu_us", "aiohttp"),
    ("dev-start", "answer_ms", "app-alone"),
)


def ratios(rows: Mapping[str, Row]) -> dict[str, float]:
    """The guarded ratios by name, as far as they were measured."""
    found = {}
    for row, figure, floor in _GUARDED:
        ratio = rows[row].ratio(figure, "adapter", floor) if row in rows else None
        if ratio is not None:
            found[f"{row} {figure} / {floor}"] = round(ratio, 3)
    return found


def write(rows: Mapping[str, Row]) -> None:
    """Make these ratios the baseline."""
    BASELINE.write_text(json.dumps(ratios(rows), indent=4) + "\n")


def regressions(rows: Mapping[str, Row]) -> list[str]:
    """A sentence for each ratio that is worse than the baseline allows, and for each that is not in it."""
    known: dict[str, float] = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    found = []
    for name, ratio in ratios(rows).items():
        if name not in known:
            found.append(f"{name}: {ratio:.2f}, and there is no baseline for it")
        elif ratio > known[name] * (1 + TOLERANCE):
            found.append(
                f"{name}: {ratio:.2f}, {ratio / known[name] - 1:.0%} worse than the baseline's {known[name]:.2f}"
            )
    return found
