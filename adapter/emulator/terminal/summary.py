"""The summary at the exit of ``adapter dev``: requests, errors, times, bytes and the cost of the whole run."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

from adapter.emulator.terminal.prices import PriceTable, record_cost
from adapter.quantities import cost_text, duration_text, size_text

if TYPE_CHECKING:
    from adapter.emulator.records.record import RequestRecord

# Durations whose logarithms differ by less than this are counted as equal, so quantiles are exact to one percent.
_STEP = math.log(1.01)


class Durations:
    """Counts durations, in seconds, in bounded memory."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self._size = 0

    def add(self, seconds: float) -> None:
        """Count one duration."""
        self._counts[round(math.log(max(seconds, 1e-6)) / _STEP)] += 1
        self._size += 1

    def quantile(self, share: float) -> float | None:
        """Return the quantile for ``share`` (0.5 is the median), exact to one percent.

        Return None if no duration has been counted.
        """
        rank = math.ceil(share * self._size)
        for step in sorted(self._counts):
            rank -= self._counts[step]
            if rank <= 0:
                return math.exp(step * _STEP)
        return None


class Summary:
    """Sums up the records of a run. ``prices`` and ``region`` determine the costs."""

    def __init__(self, prices: PriceTable, region: str) -> None:
        self._prices = prices
        self._region = region
        self.requests = 0
        self.errors: Counter[str] = Counter()
        self.cold_starts = 0
        self.sent = 0
        self.held = 0.0
        self.first_bytes = Durations()
        self.totals = Durations()
        self.invocations = 0
        # The numbers of the requests that have ended while an environment still runs their invocation.
        self._unfinished: set[int] = set()
        self.gb_seconds = 0.0
        self.billed_bytes = 0
        # The costs of all invocations; a part is None as soon as its price is unknown for one of them.
        self._costs: dict[str, float | None] = {"duration": 0.0, "request": 0.0, "streaming": 0.0}

    def add(self, record: RequestRecord) -> None:
        """Add a request that has ended. Its invocation is added by ``add_invocation``."""
        self.requests += 1
        if record.begun is not None and record.concluded is None:
            self._unfinished.add(record.number)
            self.cold_starts += record.init is not None
        if record.error_type:
            self.errors[record.error_type] += 1
        self.sent += record.sent
        self.held += record.held
        self.totals.add(record.duration)
        if record.first_byte is not None:
            self.first_bytes.add(record.first_byte)

    def add_invocation(self, record: RequestRecord) -> None:
        """Add the invocation of a request. Call this when the request has ended and the environment has finished."""
        report = record.report
        self.invocations += 1
        if record.number in self._unfinished:
            self._unfinished.remove(record.number)
        else:
            self.cold_starts += record.init is not None
        self.gb_seconds += report["billedDurationMs"] / 1000 * report["memorySizeMB"] / 1024
        cost = record_cost(record, self._prices, self._region)
        for name, part in (("duration", cost.duration), ("request", cost.request), ("streaming", cost.streaming)):
            before = self._costs[name]
            self._costs[name] = None if part is None or before is None else before + part

    @property
    def total(self) -> float | None:
        """The cost of the run, or None if a price is unknown."""
        parts = [part for part in self._costs.values() if part is not None]
        return sum(parts) if len(parts) == len(self._costs) else None

    def fields(self) -> dict[str, Any]:
        """Return the summary as the fields of a JSON object. Costs that are not known are None."""
        quantiles = {
            f"{name}{percent}Ms": None if value is None else round(value * 1000, 1)
            for name, durations in (("firstByteP", self.first_bytes), ("totalP", self.totals))
            for percent in (50, 99)
            for value in [durations.quantile(percent / 100)]
        }
        return {
            "requests": self.requests,
            "invocations": self.invocations,
            "unfinishedInvocations": len(self._unfinished),
            "errors": dict(self.errors.most_common()),
            "coldStarts": self.cold_starts,
            **quantiles,
            "bytes": self.sent,
            "heldMs": round(self.held * 1000),
            "gbSeconds": round(self.gb_seconds, 6),
            "cost": {**self._costs, "total": self.total},
            "currency": self._prices.currency,
            "region": self._region,
            "priceSources": self._prices.sources_for(self._region),
        }

    def lines(self) -> list[str]:
        """Return the summary as lines of text. The list is empty if there was no request."""
        if not self.requests:
            return []
        invocations = _count(self.invocations + len(self._unfinished), "invocation")
        rows = [("requests", f"{self.requests}, {invocations}, {_count(self.cold_starts, 'cold start')}")]
        if self._unfinished:
            unfinished = _count(len(self._unfinished), "invocation")
            rows.append(("unfinished", f"{unfinished} still running when this run ended; not included in the cost"))
        rows += [("error", f"{name}: {count}") for name, count in self.errors.most_common()]
        for name, durations in (("first byte", self.first_bytes), ("total", self.totals)):
            half, most = durations.quantile(0.5), durations.quantile(0.99)
            if half is not None and most is not None:
                rows.append((name, f"p50 {duration_text(half)}, p99 {duration_text(most)}"))
        held = f", held back by the bandwidth cap for {duration_text(self.held)}" if self.held else ""
        rows.append(("bytes", f"{size_text(self.sent)}{held}"))
        if self.invocations:
            rows += self._cost_rows()
        return ["Summary", *(f"  {name:10} {text}" for name, text in rows)]

    def _cost_rows(self) -> list[tuple[str, str]]:
        duration, request, streaming = self._costs.values()
        parts = {
            f"{self.gb_seconds:.3f} GB-seconds": duration,
            _count(self.invocations, "request"): request,
            "streamed bytes": streaming,
        }
        texts = [f"{name} {_amount(part)}" for name, part in parts.items()]
        total = f"{_amount(self.total)} {self._prices.currency}" if self.total is not None else "unknown"
        rows = [("cost", f"{total} for Lambda in {self._region}, without free tiers: {', '.join(texts)}")]
        if self.total is None:
            rows.append(
                ("prices", f"some prices are unknown for this function in {self._region}; --price-table adds prices")
            )
        return rows + [("prices", source) for source in self._prices.sources_for(self._region)]


def _amount(cost: float | None) -> str:
    return "unknown" if cost is None else cost_text(cost)


def _count(number: int, name: str) -> str:
    return f"{number} {name}{'' if number == 1 else 's'}"
