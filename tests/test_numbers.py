"""Numbers from outside: what int() and float() accept beyond them is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.numbers import LARGEST_IN_JSON, decimal, whole_number

NO_NUMBERS = [
    "",
    " ",
    "-1",
    "+1",
    " 1",
    "1 ",
    "1\n",
    "1_0",
    "0x1",
    "one",
    "nan",
    "inf",
    "Infinity",
    "²",
    "\u0661",
    "\uff11",
]


@pytest.mark.parametrize("text", [*NO_NUMBERS, "1.0", "1e3", "9" * 20, "9" * 5000])
def test_what_is_not_a_whole_number(text: str) -> None:
    assert whole_number(text, 10**30) is None


@pytest.mark.parametrize(
    ("text", "most", "number"), [("0", 0, 0), ("1", 0, None), ("007", 7, 7), (str(2**53), LARGEST_IN_JSON, None)]
)
def test_a_whole_number_has_an_upper_bound(text: str, most: int, number: int | None) -> None:
    assert whole_number(text, most) == number


@pytest.mark.parametrize("text", [*NO_NUMBERS, ".", "1e999", "9" * 5000, "1e", "--1"])
def test_what_is_not_a_decimal(text: str) -> None:
    assert decimal(text) is None


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("2", 2), ("0.5", 0.5), (".5", 0.5), ("5.", 5), ("1e-6", 1e-6)])
def test_a_decimal(text: str, number: float) -> None:
    assert decimal(text) == number


@given(st.text())
def test_any_text_is_a_number_or_none(text: str) -> None:
    whole, number = whole_number(text, 10**18), decimal(text)
    assert whole is None or (0 <= whole <= 10**18 and number == whole)
    assert number is None or 0 <= number < float("inf")
