"""The price table: built in, replaced, broken."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from adapter.aws.limits import MIB
from adapter.emulator.terminal.prices import billed_bytes, load_prices
from adapter.errors import ConfigurationError

GB = 1024 * MIB


def test_the_built_in_table_is_dated_and_knows_the_default_region() -> None:
    prices = load_prices(None)
    assert datetime.date.fromisoformat(prices.dated).isoformat() == prices.dated
    assert prices.cost(6 * MIB + GB, "us-east-1") == pytest.approx(0.008)


def test_a_file_replaces_the_table(tmp_path: Path) -> None:
    table = tmp_path / "mine.json"
    table.write_text('{"dated": "2030-01-01", "currency": "EUR", "per_gb": {"eu-west-1": 2}}')
    prices = load_prices(str(table))
    assert (prices.dated, prices.currency) == ("2030-01-01", "EUR")
    assert prices.cost(6 * MIB + GB // 2, "eu-west-1") == 1.0
    assert prices.cost(GB, "us-east-1") is None


@pytest.mark.parametrize(
    ("streamed", "billed"), [(0, 0), (6 * MIB, 0), (6 * MIB + 1, 1)], ids=["nothing", "free", "beyond"]
)
def test_the_first_six_megabytes_are_free(streamed: int, billed: int) -> None:
    assert billed_bytes(streamed) == billed


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("{", id="not-json"),
        pytest.param("[]", id="not-an-object"),
        pytest.param('{"dated": "x", "currency": "USD"}', id="no-prices"),
        pytest.param('{"dated": "x", "currency": "USD", "per_gb": []}', id="prices-not-a-map"),
        *[
            pytest.param(f'{{"dated": "x", "currency": "USD", "per_gb": {{"a": {price}}}}}', id=f"price-{price}")
            for price in ('"much"', '"nan"', '"inf"', "-1", "1e999", "null", "true", "[]")
        ],
    ],
)
def test_a_file_that_is_no_table_is_a_mistake_that_shows_what_one_looks_like(text: str, tmp_path: Path) -> None:
    table = tmp_path / "mine.json"
    table.write_text(text)
    with pytest.raises(ConfigurationError, match=r"--price-table: .*mine\.json.* is not a price table .*per_gb"):
        load_prices(str(table))


def test_a_file_that_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"--price-table: .*absent\.json.* cannot be read: No such file"):
        load_prices(str(tmp_path / "absent.json"))
