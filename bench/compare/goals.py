"""The goals of the comparison. Each compares a figure of one subject with that of another, or with a bound."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from compare.samples import Row
from compare.texts import PASSAGES


@dataclass(frozen=True, kw_only=True)
class Goal:
    """A bound for ``figure`` of ``row``: for our figure divided by that of ``than``, or for our figure alone."""

    row: str
    figure: str
    than: str = ""
    other_row: str = ""
    minus: str = ""
    at_most: float | None = None
    at_least: float | None = None

    def measured(self, rows: Mapping[str, Row]) -> float | None:
        """Return the ratio or the figure, or None if one of the two figures was not measured."""
        row = rows.get(self.row)
        if row is None:
            return None
        if self.other_row:
            other = rows[self.other_row].figure(self.than, self.figure) if self.other_row in rows else None
            mine = row.figure("adapter", self.figure)
            return None if mine is None or not other else mine / other
        if self.minus:
            mine, its = row.figure("adapter", self.figure), row.figure(self.minus, self.figure)
            return None if mine is None or its is None else mine - its
        return row.ratio(self.figure, "adapter", self.than) if self.than else row.figure("adapter", self.figure)

    def holds(self, value: float) -> bool:
        """Return whether ``value`` meets the goal."""
        return (self.at_most is None or value <= self.at_most) and (self.at_least is None or value >= self.at_least)

    @property
    def bound(self) -> str:
        """Return the bound as text."""
        sign, limit = ("≤", self.at_most) if self.at_most is not None else ("≥", self.at_least)
        unit = " times" if self.than else ""
        return f"{sign} {limit:g}{unit}" if limit is not None else ""


def _against_rust(row: str, figure: str, *, at_most: float | None = None, at_least: float | None = None) -> list[Goal]:
    return [Goal(row=row, figure=figure, than=rust, at_most=at_most, at_least=at_least) for rust in _RUST]


def _texts() -> list[Goal]:
    """Return the goals for each text and number of cores: half of the Rust adapter's time, and no slower compiled."""
    goals = []
    for row in [name for name in _TEXT_ROWS for name in (name, f"{name}@1")]:
        goals += _against_rust(row, "cpu_us", at_most=0.45)
        goals.append(Goal(row=row, figure="cpu_us", than="floor", at_most=1.2))
        goals.append(Goal(row=row, figure="cpu_us", than="plain", at_most=1.0))
    return goals


# The measured versions of the Rust adapter.
_RUST = ("rust", "rust-rc", "rust-given")
_TEXT_ROWS = [name for kind in PASSAGES for name in (f"text-up-{kind}", f"text-up-{kind}-spaced", f"text-down-{kind}")]


GOALS: tuple[Goal, ...] = (
    *_against_rust("1k", "cpu_us", at_most=0.35),
    *_against_rust("1k@1", "cpu_us", at_most=0.45),
    Goal(row="1k", figure="cpu_us", than="floor", at_most=3.5),
    Goal(row="1k@1", figure="cpu_us", than="floor", at_most=3.5),
    *_against_rust("1k", "p50_us", at_most=0.8),
    *_against_rust("1k", "p99_us", at_most=0.6),
    *_against_rust("1k@1", "p99_us", at_most=0.6),
    *_against_rust("64k", "cpu_us", at_most=0.45),
    *_against_rust("64k@1", "cpu_us", at_most=0.45),
    *_texts(),
    *_against_rust("binary-down", "cpu_us", at_most=0.4),
    *_against_rust("binary-down", "memory_mb", at_most=1.0),
    *_against_rust("binary-up", "cpu_us", at_most=0.4),
    *_against_rust("binary-up", "memory_mb", at_most=1.0),
    *_against_rust("stream-length", "mb_per_second", at_least=1.0),
    *_against_rust("stream-length", "cpu_us", at_most=0.6),
    *_against_rust("stream-length@1", "cpu_us", at_most=1.0),
    Goal(row="stream-length", figure="cpu_us", than="floor", at_most=1.12),
    Goal(row="stream-length@1", figure="cpu_us", than="floor", at_most=1.12),
    *_against_rust("stream-chunks", "mb_per_second", at_least=1.0),
    *_against_rust("stream-chunks", "cpu_us", at_most=1.0),
    Goal(row="stream-chunks", figure="cpu_us", than="floor", at_most=1.3),
    Goal(row="stream-length", figure="memory_mb", at_most=24),
    Goal(row="start", figure="start_ms", than="bare-python", at_most=1.8),
    Goal(row="start", figure="memory_mb", at_most=10),
    Goal(row="start-fastapi", figure="start_ms", minus="app-alone", at_most=4),
    Goal(row="slots-8", figure="per_second", than="rust-rc", at_least=0.8),
    Goal(row="slots-64", figure="per_second", than="rust-rc", at_least=0.5),
    Goal(row="throttle-1", figure="off_percent", at_most=0.3),
    Goal(row="throttle-500", figure="core_percent", at_most=10),
    Goal(row="throttle-500", figure="memory_mb", at_most=100),
    Goal(row="sse-idle", figure="all_memory_mb", at_most=135),
    Goal(row="sse-idle", figure="core_percent", at_most=1),
    Goal(row="proxy-32", figure="per_second", than="mitmproxy", at_least=5),
    Goal(row="proxy-32", figure="per_second", than="proxy.py", at_least=2),
    Goal(row="proxy-32", figure="cpu_us", than="aiohttp", at_most=1.2),
    Goal(row="proxy-32", figure="cpu_us", than="nginx", at_most=3.5),
    Goal(row="proxy-256", figure="p99_us", than="nginx", at_most=3),
    Goal(row="emulator-1", figure="per_second", than="emulator", at_least=0.6),
    Goal(row="emulator-20", figure="per_second", than="emulator", other_row="emulator-1", at_least=1.0),
    Goal(row="emulator-20", figure="memory_mb", at_most=64),
    Goal(row="emulator-echo", figure="per_second", than="emulator", at_least=1.0),
    Goal(row="dev-start", figure="answer_ms", minus="app-alone", at_most=100),
)
