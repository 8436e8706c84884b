"""A function's response, field by field."""

from __future__ import annotations

from typing import Any

import pytest

from adapter.errors import InvalidFunctionResponse
from adapter.payload.function_response import headers_of, set_cookies_of, status_of


@pytest.mark.parametrize(("code", "status"), [(100, 100), (599, 599), ("404", 404)])
def test_a_status_is_an_integer_or_its_digits(code: Any, status: int) -> None:
    assert status_of({"statusCode": code}) == status


@pytest.mark.parametrize("code", [99, 600, "99", "600", "0200", "2e2", "²00", "", 200.0, True, None, [200]])
def test_anything_else_is_no_status(code: Any) -> None:
    with pytest.raises(InvalidFunctionResponse, match="not an integer from 100 to 599"):
        status_of({"statusCode": code})


def test_numbers_and_booleans_are_header_values() -> None:
    assert headers_of({"a": 1, "b": 1.5, "c": True, "d": "x"}, {"e": [False, 2]}) == [
        ("e", "false"),
        ("e", "2"),
        ("a", "1"),
        ("b", "1.5"),
        ("c", "true"),
        ("d", "x"),
    ]


@pytest.mark.parametrize("value", [None, {"a": 1}, "a\nb", "\x7f"])
def test_other_header_values_are_refused(value: Any) -> None:
    with pytest.raises(InvalidFunctionResponse, match="a header value"):
        headers_of({"x": value}, None)
    with pytest.raises(InvalidFunctionResponse, match="a header value"):
        headers_of(None, {"x": [value]})


def test_cookies_become_set_cookie_headers() -> None:
    assert set_cookies_of({"cookies": ["a=1", "b=2"]}) == [("set-cookie", "a=1"), ("set-cookie", "b=2")]
    assert set_cookies_of({"cookies": None}) == set_cookies_of({}) == []


@pytest.mark.parametrize("cookies", ["a=1", {"a": "1"}, [None], ["a\r\n"]])
def test_cookies_of_another_shape_are_refused(cookies: Any) -> None:
    with pytest.raises(InvalidFunctionResponse):
        set_cookies_of({"cookies": cookies})
