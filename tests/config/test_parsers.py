"""The text of an option and its value; what cannot be one is refused by a message that says what would be right."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from adapter.aws.limits import LAMBDA_BANDWIDTH, Bandwidth
from adapter.config import parsers
from adapter.net.address import Address

MIB = 1024 * 1024

GOOD = [
    pytest.param(parsers.text("TEXT"), " as it is ", " as it is ", id="text"),
    *[pytest.param(parsers.boolean, text, True, id=f"boolean-{text}") for text in ("true", "True", "1", "yes", "ON")],
    *[
        pytest.param(parsers.boolean, text, False, id=f"boolean-{text}")
        for text in ("false", "FALSE", "0", "no", "off")
    ],
    pytest.param(parsers.choice("a", "b"), "B", "b", id="choice"),
    pytest.param(parsers.port, "1", 1, id="lowest-port"),
    pytest.param(parsers.port, "65535", 65535, id="highest-port"),
    pytest.param(parsers.listen_port, "0", 0, id="any-port"),
    pytest.param(parsers.positive_integer, "8", 8, id="count"),
    pytest.param(parsers.seconds, "0", 0.0, id="no-seconds"),
    pytest.param(parsers.seconds, ".5", 0.5, id="fraction-without-a-zero"),
    pytest.param(parsers.seconds, "1000000", 1_000_000.0, id="longest-wait"),
    pytest.param(parsers.slots, "10000", 10_000, id="most-slots"),
    pytest.param(parsers.seconds, "0.25", 0.25, id="fraction-of-a-second"),
    pytest.param(parsers.positive_seconds, "900", 900.0, id="positive-seconds"),
    pytest.param(parsers.function_timeout, "5400", 5400.0, id="longest-timeout"),
    pytest.param(parsers.function_timeout, "0.2", 0.2, id="shortest-timeout-of-tests"),
    pytest.param(parsers.host, "127.0.0.1", "127.0.0.1", id="ipv4-host"),
    pytest.param(parsers.host, "::1", "::1", id="ipv6-host"),
    pytest.param(parsers.host, "app.internal", "app.internal", id="host-name"),
    pytest.param(parsers.host_and_port, "127.0.0.1:9001", Address.parse("127.0.0.1:9001"), id="host-and-port"),
    pytest.param(parsers.host_and_port, "[::1]:9001", Address.parse("[::1]:9001"), id="ipv6-host-and-port"),
    pytest.param(parsers.listen_address, "8000", Address.parse("0.0.0.0:8000"), id="listen-port-alone"),
    pytest.param(parsers.listen_address, ":8000", Address.parse("0.0.0.0:8000"), id="listen-colon-port"),
    pytest.param(parsers.listen_address, "[::]:0", Address.parse("[::]:0"), id="listen-ipv6"),
    pytest.param(parsers.networks, "10.0.0.0/8, 127.0.0.1 ,::1", ("10.0.0.0/8", "127.0.0.1", "::1"), id="networks"),
    pytest.param(parsers.networks, "*", ("*",), id="all-networks"),
    pytest.param(parsers.path, "/health%20z?x=1", "/health%20z?x=1", id="path"),
    pytest.param(parsers.base_path, "/api/", "/api", id="base-path"),
    pytest.param(parsers.base_path, "/", "", id="no-base-path"),
    pytest.param(parsers.header_name, "X-Auth_1", "x-auth_1", id="header-name"),
    pytest.param(parsers.statuses, "404", frozenset({404}), id="status"),
    pytest.param(parsers.statuses, "500, 502-504", frozenset({500, 502, 503, 504}), id="statuses"),
    pytest.param(parsers.media_types, "Image/*, application/pdf,", ("image/*", "application/pdf"), id="media-types"),
    pytest.param(parsers.size, "1048576", MIB, id="bytes"),
    pytest.param(parsers.size, "1MB", MIB, id="mb-means-1024-kb"),
    pytest.param(parsers.size, "1MiB", MIB, id="mib"),
    pytest.param(parsers.size, "512k", 512 * 1024, id="k"),
    pytest.param(parsers.size, "2g", 2048 * MIB, id="g"),
    pytest.param(parsers.size, "7b", 7, id="b"),
    pytest.param(parsers.stream_limit, "20mb", 20_971_520, id="limit-until-2025"),
    pytest.param(parsers.stream_limit, "200MB", 209_715_200, id="limit-since-2025"),
    pytest.param(parsers.stream_limit, "None", parsers.NO_LIMIT, id="no-limit"),
    pytest.param(parsers.stream_limit, "5MB", 5 * MIB, id="any-limit"),
    pytest.param(parsers.front_doors, "alb", (("alb", None),), id="front-door"),
    pytest.param(
        parsers.front_doors, "alb:8080, rest-api:0 ,", (("alb", 8080), ("rest-api", 0)), id="front-doors-with-ports"
    ),
    pytest.param(parsers.resource, "/{proxy+}", "/{proxy+}", id="resource"),
    pytest.param(parsers.bandwidth, "Lambda", LAMBDA_BANDWIDTH, id="lambdas-bandwidth"),
    pytest.param(parsers.bandwidth, "unlimited", None, id="unlimited"),
    pytest.param(parsers.bandwidth, "1MB + 256KB", Bandwidth(burst=MIB, rate=256 * 1024), id="bandwidth"),
    pytest.param(
        parsers.bandwidth, "32768+67108864", Bandwidth(burst=32768, rate=67108864), id="bandwidth-at-its-bounds"
    ),
]


@pytest.mark.parametrize(("parser", "text", "value"), GOOD)
def test_a_good_text_becomes_its_value(parser: Callable[[str], Any], text: str, value: object) -> None:
    parsed = parser(text)
    assert parsed == value
    assert type(parsed) is type(value)


BAD: list[tuple[Callable[[str], Any], str, list[str]]] = [
    (parsers.boolean, "use true or false", ["", "maybe", "2", "tru"]),
    (parsers.choice("a", "b"), "is not one of a, b", ["", "c", "ab"]),
    (
        parsers.port,
        "use a number from 1 to 65535",
        ["", "0", "65536", "-1", "+1", "80.0", "http", " 80", "\uff18\uff10", "²"],
    ),
    (parsers.listen_port, "use a number from 1 to 65535, or 0 for any free port", ["99999", "80x", "", "-0", "00x"]),
    (parsers.positive_integer, "at least 1", ["", "0", "-1", "1.5", "x", "1" * 5000, "²"]),
    (parsers.slots, "use a whole number from 1 to 10000", ["", "0", "-1", "10001", "999999999"]),
    (
        parsers.seconds,
        "use seconds, for example 2 or 0.5",
        ["", "-1", "+1", "nan", "inf", "1e9", "1" * 5000, "1_0", " 1", "1 ", "\u0661", "2s", "two"],
    ),
    (parsers.positive_seconds, "use seconds", ["", "0", "0.0", "-1"]),
    (parsers.function_timeout, "use seconds", ["0"]),
    (parsers.function_timeout, "use at most 5400 seconds", ["5400.1", "10000"]),
    (parsers.concurrency, "from 1 to 1600", ["0", "1601", "-1", "x"]),
    (parsers.host, "use a name or an address", ["http://a", "a:80", "[::1]", "a b", "user@a", "a/b"]),
    (parsers.host_and_port, "is not HOST:PORT", ["", "a", "a:", ":80", "http://a:80", "a:b", "a:0", "80"]),
    (parsers.listen_address, "0.0.0.0:8080", ["", "a", "a:", "http://a:80", "a b:80", "1.2.3.4:70000"]),
    (parsers.networks, "10.0.0.0/8,127.0.0.1", ["", ",", "10.0.0.0/33", "localhost", "10.0.0.1,x"]),
    (parsers.path, "starts with a slash", ["", "health", "/a b", "/é", "/a#b", "/a\r\nb", "http://a/"]),
    (parsers.base_path, "starts with a slash", ["api", "api/"]),
    (parsers.header_name, "is not a header name", ["", "-", "a b", "a:", "é"]),
    (
        parsers.statuses,
        "use numbers and ranges",
        ["", "99", "1000", "5xx", "500-", "-500", "504-500", "500;501", "\uff15\uff10\uff10"],
    ),
    (parsers.statuses, "use numbers and ranges", ["²", "500,²", "1" * 5000, "200-" + "9" * 5000]),
    (parsers.media_types, "is not a list of media types", ["", ",", "pdf", "*/*", "image/", "/png", "a/b/c"]),
    (parsers.size, "use bytes or a unit", ["", "MB", "1TB", "-1", "1.5MB", "1 MB", "²", "1" * 5000, "1" * 13 + "GB"]),
    (parsers.stream_limit, "use bytes or a unit", ["", "unlimited", "x"]),
    (parsers.front_doors, "use one or more of function-url, http-api, rest-api", ["", ",", "elb", "alb,elb", "ALB"]),
    (parsers.front_doors, "; did you mean alb?", ["albb", "http-api,albb:80"]),
    (parsers.front_doors, "use a number from 1 to 65535", ["alb:", "alb:x", "alb:65536"]),
    (parsers.resource, "is not a resource", ["orders", "/orders?id", "/orders/{id"]),
    (parsers.bandwidth, "use lambda, unlimited or BURST+RATE", ["", "6MB", "6MB+", "+2MB", "fast", "6MB+2MB+1MB"]),
    (parsers.bandwidth, "must each be from 32 KB to 64 MB", ["32767+2MB", "6MB+32767", "65MB+2MB", "6MB+67108865"]),
]


@pytest.mark.parametrize(
    ("parser", "message", "text"),
    [
        pytest.param(parser, message, text, id=f"{text[:12]!r}-{message}")
        for parser, message, texts in BAD
        for text in texts
    ],
)
def test_a_bad_text_is_refused_with_what_would_be_right(parser: Callable[[str], Any], message: str, text: str) -> None:
    # It completes the sentence "NAME: 'text' …".
    with pytest.raises(ValueError, match=f"^is .*{re.escape(message.removeprefix('is '))}"):
        parser(text)
