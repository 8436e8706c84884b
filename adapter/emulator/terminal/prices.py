"""The prices of an invocation, by region. The price table is built in, or is the file given with ``--price-table``.

If the table does not contain a price, each cost that includes this price is unknown. Nothing is estimated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from adapter.aws.limits import FREE_STREAM_BYTES, MIB
from adapter.errors import ConfigurationError
from adapter.numbers import decimal

if TYPE_CHECKING:
    from adapter.emulator.records.record import RequestRecord

# The number of bytes in a GB, as AWS bills it.
_GB = 1024 * MIB
_BUILT_IN = Path(__file__).with_name("prices.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceTable:
    """Prices by region: per streamed GB, per GB-second and per million requests.

    The first 6 MB of each response are free. ``dated`` is the date of the prices in ``per_gb``. ``sources`` maps the
    name of an attribute, for example ``per_gb``, to the source of its prices, with a date.
    """

    dated: str
    currency: str
    per_gb: dict[str, float]
    per_gb_second: dict[str, float] = field(default_factory=dict)
    per_million_requests: dict[str, float] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)

    def for_billing(self, *, on_demand: bool) -> PriceTable:
        """Return this table if ``on_demand`` is True, else a copy without the on-demand prices of GB-seconds."""
        return self if on_demand else replace(self, per_gb_second={})

    def invocation_cost(self, region: str, *, billed_ms: float, memory_mb: float, streamed: int) -> InvocationCost:
        """Return the cost of one invocation. ``streamed`` is the number of streamed bytes, or 0 if buffered."""
        gb_seconds = billed_ms / 1000 * memory_mb / 1024
        return InvocationCost(
            duration=_product(gb_seconds, self.per_gb_second.get(region)),
            request=_product(1e-6, self.per_million_requests.get(region)),
            streaming=self.cost(streamed, region) if billed_bytes(streamed) else 0.0,
        )

    def sources_for(self, region: str) -> list[str]:
        """Return the dated sources of the prices that the table has for ``region``."""
        tables = {
            "per_gb_second": self.per_gb_second,
            "per_million_requests": self.per_million_requests,
            "per_gb": self.per_gb,
        }
        default = f"--price-table, dated {self.dated}"
        found = [self.sources.get(name, default) for name, table in tables.items() if region in table]
        return list(dict.fromkeys(found))

    def cost(self, streamed: int, region: str) -> float | None:
        """Return the cost of streaming a response of ``streamed`` bytes, or None if the price is unknown."""
        if region not in self.per_gb:
            return None
        return billed_bytes(streamed) / _GB * self.per_gb[region]


@dataclass(frozen=True, slots=True, kw_only=True)
class InvocationCost:
    """The parts of an invocation's cost, in the price table's currency. A part is None if its price is unknown."""

    duration: float | None
    request: float | None
    streaming: float | None

    @property
    def total(self) -> float | None:
        """The sum of the parts, or None if a part is unknown."""
        if self.duration is None or self.request is None or self.streaming is None:
            return None
        return self.duration + self.request + self.streaming


def record_cost(record: RequestRecord, prices: PriceTable, region: str) -> InvocationCost:
    """Return the cost of the invocation in ``record``. The environment must have finished the invocation."""
    report = record.report
    return prices.invocation_cost(
        region,
        billed_ms=report["billedDurationMs"],
        memory_mb=report["memorySizeMB"],
        streamed=record.streamed,
    )


def _product(amount: float, price: float | None) -> float | None:
    return None if price is None else amount * price


def billed_bytes(streamed: int) -> int:
    """Return how many of the ``streamed`` bytes of a response are billed."""
    return max(0, streamed - FREE_STREAM_BYTES)


def load_prices(path: str | None) -> PriceTable:
    """Return the price table in the file ``path``, or the built-in table if ``path`` is None.

    Raises ConfigurationError if the file cannot be read or is not a price table.
    """
    file = _BUILT_IN if path is None else Path(path)
    try:
        text = file.read_bytes()
    except OSError as error:
        raise ConfigurationError([f"--price-table: {path!r} cannot be read: {error.strerror}"]) from error
    try:
        table = orjson.loads(text)
        return PriceTable(
            dated=str(table["dated"]),
            currency=str(table["currency"]),
            per_gb=_prices(table["per_gb"]),
            per_gb_second=_prices(table.get("per_gb_second", {})),
            per_million_requests=_prices(table.get("per_million_requests", {})),
            sources={str(name): str(source) for name, source in table.get("sources", {}).items()},
        )
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise ConfigurationError(
            [
                f"--price-table: {path!r} is not a price table ({error}); expected, for example: "
                '{"dated": "2023-04-07", "currency": "USD", "per_gb": {"us-east-1": 0.008}}'
            ]
        ) from error


def _prices(table: Mapping[str, object]) -> dict[str, float]:
    return {str(region): _price(price) for region, price in table.items()}


def _price(value: object) -> float:
    price = decimal(str(value))
    if price is None:
        raise ValueError(f"{value!r} is not a price")
    return price
