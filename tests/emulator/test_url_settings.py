"""What holds where the user says nothing."""

from __future__ import annotations

import pytest

from adapter.config import load
from adapter.emulator.url_settings import UrlSettings
from adapter.throttle import LAMBDA_BANDWIDTH, MIB


def test_by_default_everything_is_as_on_lambda_and_streams() -> None:
    settings = UrlSettings(load({}))
    assert (settings.invoke_mode, settings.url_invoke_mode) == ("response_stream", "response_stream")
    assert (settings.bandwidth, settings.stream_limit, settings.timeout) == (LAMBDA_BANDWIDTH, 200 * MIB, 900)


@pytest.mark.parametrize(
    ("text", "limit"), [("none", None), ("20mb", 20 * MIB), ("1000", 1000)], ids=["none", "preset", "size"]
)
def test_a_limit_that_was_given_counts(text: str, limit: int | None) -> None:
    assert UrlSettings(load({}, {"stream_limit": text})).stream_limit == limit


@pytest.mark.parametrize(
    ("flags", "modes"),
    [
        pytest.param({"invoke_mode": "buffered"}, ("buffered", "buffered"), id="the-url-follows"),
        pytest.param({"url_invoke_mode": "buffered"}, ("response_stream", "buffered"), id="the-function-does-not"),
    ],
)
def test_the_url_has_the_functions_mode_unless_it_is_given_another(
    flags: dict[str, str], modes: tuple[str, str]
) -> None:
    settings = UrlSettings(load({}, flags))
    assert (settings.invoke_mode, settings.url_invoke_mode) == modes
