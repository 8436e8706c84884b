"""What streamed bytes cost: a table by region with a date, which the user may replace."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import orjson

from adapter.aws.limits import FREE_STREAM_BYTES, MIB
from adapter.errors import ConfigurationError

# AWS's GB, in bytes.
_GB = 1024 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceTable:
    """Prices on the day ``dated``, by region, per GB streamed beyond the free bytes of each response."""

    dated: str
    currency: str
    per_gb: dict[str, float]

    def cost(self, streamed: int, region: str) -> float | None:
        """Return what a response of ``streamed`` bytes costs; None if the table does not have the region."""
        if region not in self.per_gb:
            return None
        return billed_bytes(streamed) / _GB * self.per_gb[region]


def billed_bytes(streamed: int) -> int:
    """Return how many of the ``streamed`` bytes of one response are billed."""
    return max(0, streamed - FREE_STREAM_BYTES)


def load_prices(path: str | None) -> PriceTable:
    """Return the table in the file ``path``, or the built-in one. Raises ConfigurationError if it is not a table."""
    file = resources.files(__package__) / "prices.json" if path is None else Path(path)
    try:
        text = file.read_bytes()
    except OSError as error:
        raise ConfigurationError([f"--price-table: {path!r} cannot be read: {error.strerror}"]) from error
    try:
        table = orjson.loads(text)
        return PriceTable(
            dated=str(table["dated"]),
            currency=str(table["currency"]),
            per_gb={str(region): float(price) for region, price in table["per_gb"].items()},
        )
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise ConfigurationError(
            [
                f'--price-table: {path!r} is not a price table ({error}); it looks like {{"dated": "2023-04-07", '
                '"currency": "USD", "per_gb": {"us-east-1": 0.008}}'
            ]
        ) from error
