"""Which requests may come from a web page."""

from __future__ import annotations

import pytest

from adapter.emulator.page_guard import page_refusal

PROGRAMS = [
    pytest.param([], id="http-1.0"),
    pytest.param([("Host", "127.0.0.1:3001")], id="address"),
    pytest.param([("Host", "10.1.2.3")], id="address-elsewhere"),
    pytest.param([("Host", "[::1]:3001")], id="ipv6"),
    pytest.param([("Host", "LocalHost:3001")], id="localhost"),
    pytest.param([("Host", "app.localhost")], id="below-localhost"),
    pytest.param([("Host", "lambda:3001")], id="a-service-of-compose"),
    pytest.param([("Host", "host.docker.internal:3001")], id="the-host-of-a-container"),
    pytest.param([("Host", "localhost"), ("Sec-Fetch-Site", "none")], id="typed-into-a-browser"),
]
PAGES = [
    pytest.param([("Host", "evil.example")], id="rebound-name"),
    pytest.param([("Host", "127.0.0.1.evil.example:3001")], id="address-within-a-name"),
    pytest.param([("Host", "[::1].evil.example")], id="ipv6-within-a-name"),
    pytest.param([("Host", "localhost@evil.example")], id="user"),
    pytest.param([("Host", "localhost/")], id="path"),
    pytest.param([("Host", "localhost:99999999")], id="port"),
    pytest.param([("Host", "docker.internal")], id="nearly-known"),
    pytest.param([("Host", "localhost"), ("Origin", "http://localhost")], id="origin"),
    pytest.param([("Host", "localhost"), ("origin", "null")], id="sandboxed-page"),
    pytest.param([("Host", "localhost"), ("Sec-Fetch-Site", "same-origin")], id="same-origin"),
    pytest.param([("Host", "localhost"), ("Sec-Fetch-Site", "cross-site")], id="an-image-of-another-page"),
]


@pytest.mark.parametrize("headers", PROGRAMS)
def test_programs_are_let_in(headers: list[tuple[str, str]]) -> None:
    assert page_refusal(headers) == ""


@pytest.mark.parametrize("headers", PAGES)
def test_pages_are_not(headers: list[tuple[str, str]]) -> None:
    assert page_refusal(headers)
