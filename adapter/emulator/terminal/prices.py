"""The prices of streamed bytes, by region. The price table is built in, or is the file that ``--price-table`` names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import orjson

from adapter.aws.limits import FREE_STREAM_BYTES, MIB
from adapter.errors import ConfigurationError
from adapter.numbers import decimal

# The number of bytes in a GB, as AWS bills it.
_GB = 1024 * MIB
_BUILT_IN = Path(__file__).with_name("prices.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceTable:
    """The price per streamed GB by region, as of the day ``dated``. The first 6 MB of each response are free."""

    dated: str
    currency: str
    per_gb: dict[str, float]

    def cost(self, streamed: int, region: str) -> float | None:
        """Return the cost of a response of ``streamed`` bytes, or None if the table does not contain the region."""
        if region not in self.per_gb:
            return None
        return billed_bytes(streamed) / _GB * self.per_gb[region]


def billed_bytes(streamed: int) -> int:
    """Return the number of billed bytes of a response with ``streamed`` bytes."""
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
            per_gb={str(region): _price(price) for region, price in table["per_gb"].items()},
        )
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise ConfigurationError(
            [
                f"--price-table: {path!r} is not a price table ({error}); expected, for example: "
                '{"dated": "2023-04-07", "currency": "USD", "per_gb": {"us-east-1": 0.008}}'
            ]
        ) from error


def _price(value: object) -> float:
    price = decimal(str(value))
    if price is None:
        raise ValueError(f"{value!r} is not a price")
    return price
