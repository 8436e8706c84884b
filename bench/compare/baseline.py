"""Compares the ratios of quick mode with the committed baseline, to find regressions."""

from __future__ import annotations

import json
from collections.abc import Mapping

from compare.places import BENCH
from compare.samples import Row

BASELINE = BENCH / "baseline.json"
# The share by which a ratio may be worse than the baseline. A larger difference is a regression.
TOLERANCE = 0.15
# The guarded figures: the row, the figure, and the subject to compare with. Smaller figures are better.
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
    """Return the guarded ratios that were measured, by name."""
    found = {}
    for row, figure, floor in _GUARDED:
        ratio = rows[row].ratio(figure, "adapter", floor) if row in rows else None
        if ratio is not None:
            found[f"{row} {figure} / {floor}"] = round(ratio, 3)
    return found


def write(rows: Mapping[str, Row]) -> None:
    """Write the ratios of ``rows`` to the baseline."""
    BASELINE.write_text(json.dumps(ratios(rows), indent=4) + "\n")


def regressions(rows: Mapping[str, Row]) -> list[str]:
    """Return a sentence for each ratio that is worse than the baseline allows, and for each that is not in it."""
    known: dict[str, float] = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    found = []
    for name, ratio in ratios(rows).items():
        if name not in known:
            found.append(f"{name}: {ratio:.2f}, which the baseline does not contain")
        elif ratio > known[name] * (1 + TOLERANCE):
            found.append(
                f"{name}: {ratio:.2f}, {ratio / known[name] - 1:.0%} worse than the baseline's {known[name]:.2f}"
            )
    return found
