"""Malformed events, generated from tables with a fixed seed, and the good events that they are made from.

Each event has a verdict: ``ERROR`` if it cannot become a request, ``REQUEST`` if it must become one, and ``EITHER`` if
AWS's documents leave this open. An event that is passed through counts as a request, since the app must check its
bytes.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

ERROR, REQUEST, EITHER = "error", "request", "either"

Event = dict[str, Any]
Malformed = tuple[str, bytes]

_GOOD: dict[str, Event] = {
    "http-api": {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/path",
        "rawQueryString": "a=1&b=2",
        "cookies": ["c=1"],
        "headers": {"host": "app.example", "x-one": "1"},
        "requestContext": {"http": {"method": "POST", "path": "/path"}, "stage": "$default"},
        "body": "hello",
        "isBase64Encoded": False,
    },
    "rest-api": {
        "resource": "/{proxy+}",
        "path": "/path",
        "httpMethod": "POST",
        "headers": {"Host": "app.example", "X-One": "1"},
        "multiValueHeaders": {"Host": ["app.example"], "X-One": ["1", "2"]},
        "queryStringParameters": {"a": "1"},
        "multiValueQueryStringParameters": {"a": ["1", "2"]},
        "requestContext": {"stage": "prod", "httpMethod": "POST"},
        "body": "hello",
        "isBase64Encoded": False,
    },
    "alb": {
        "requestContext": {"elb": {"targetGroupArn": "arn"}},
        "httpMethod": "POST",
        "path": "/path",
        "queryStringParameters": {"a": "1"},
        "headers": {"host": "app.example", "x-one": "1"},
        "body": "hello",
        "isBase64Encoded": False,
    },
    "alb-multi-value": {
        "requestContext": {"elb": {"targetGroupArn": "arn"}},
        "httpMethod": "POST",
        "path": "/path",
        "multiValueQueryStringParameters": {"a": ["1", "2"]},
        "multiValueHeaders": {"host": ["app.example"], "x-one": ["1", "2"]},
        "body": "hello",
        "isBase64Encoded": False,
    },
    "lattice-v1": {
        "raw_path": "/path?a=1",
        "method": "POST",
        "headers": {"host": "app.example", "x-one": "1"},
        "query_string_parameters": {"a": "1"},
        "body": "hello",
        "is_base64_encoded": False,
    },
    "lattice-v2": {
        "version": "2.0",
        "path": "/path",
        "method": "POST",
        "headers": {"host": ["app.example"], "x-one": ["1", "2"]},
        "queryStringParameters": {"a": ["1"]},
        "requestContext": {"serviceNetworkArn": "arn"},
        "body": "hello",
        "isBase64Encoded": False,
    },
}
FORMATS = tuple(_GOOD)
_METHODS = {"http-api": ("requestContext", "http", "method"), "lattice-v1": ("method",), "lattice-v2": ("method",)}
_PATHS = {"http-api": "rawPath", "lattice-v1": "raw_path"}
_MULTI = ("rest-api", "alb-multi-value")

_BAD_NAMES = [
    "",
    " ",
    "x y",
    "x:y",
    "x\r\ny",
    "x\ny",
    "x\0",
    "\x7f",
    "é",
    "x\u2028",
    "(x)",
    "x,y",
    "x/y",
    "\u212a",
    "x=y",
]
_BAD_NAMES += [f"x{chr(control)}y" for control in range(32)] + ["x-one: 1\r\nx-evil"]
_BAD_VALUES = [f"a{chr(control)}b" for control in (*range(9), *range(10, 32), 127)]
_BAD_VALUES += ["a\r\nx-evil: 1", "a\n\nGET /evil HTTP/1.1", "\r\n", "a\0", "\x7f"]
_WRONG_TYPES: list[Any] = [0, 1, -1, 1.5, True, [], {}, [1], ["a", None], {"a": 1}, [[]], [{}], {"a": {}}, "", "text"]
_BAD_BASE64 = [
    "a",
    "abc",
    "YQ=",
    "YQ==\n",
    " YQ==",
    "Y Q==",
    "YQ==x",
    "YQ==YQ==",
    "YQ-_",
    "=",
    "====",
    "é",
    "YQ==\0",
    "%59",
]
_BAD_METHODS = [
    "",
    " ",
    "GET ",
    " GET",
    "GET /evil HTTP/1.1\r\n",
    "G\r\nT",
    "GÉT",
    "GET\0",
    "CONNECT",
    "connect",
    "G(T",
]
_PATHS_OF_ANY_KIND = [
    "",
    "/",
    "//evil",
    "http://evil/",
    "/../..",
    "/%2f",
    "/a b",
    "/a\r\nx: y",
    "/\0",
    "/é",
    "*",
    "?",
    "/#x",
]
_NOT_JSON = [
    "",
    "{",
    "}",
    "[",
    "nul",
    "{'a':1}",
    '{"a":1,}',
    "{a:1}",
    '{"a":01}',
    '{"a":.5}',
    '{"a":+1}',
    '{"a":1}x',
    "\ufeff{}",
]


def good(name: str, path: str) -> bytes:
    """Return a good event of format ``name`` for ``path``."""
    event = deepcopy(_GOOD[name])
    event[_PATHS.get(name, "path")] = path
    return json.dumps(event).encode()


def malformed_events(count: int, seed: int) -> Iterator[Malformed]:
    """Yield ``count`` events with their verdicts."""
    chance = random.Random(seed)
    for number in range(count):
        mutate = _MUTATIONS[number % len(_MUTATIONS)]
        yield mutate(FORMATS[number // len(_MUTATIONS) % len(FORMATS)], chance)


def _event(name: str, chance: random.Random) -> Event:
    event = deepcopy(_GOOD[name])
    event["marker"] = chance.randrange(10**9)
    return event


def _json(verdict: str, event: Event) -> Malformed:
    return verdict, json.dumps(event).encode()


def _headers_of(event: Event) -> dict[str, Any]:
    return event["multiValueHeaders"] if "multiValueHeaders" in event else event["headers"]  # type: ignore[no-any-return]  # of the tables above


def _bad_header_name(name: str, chance: random.Random) -> Malformed:
    event = _event(name, chance)
    values = _headers_of(event)
    values[chance.choice(_BAD_NAMES)] = (
        ["1"] if isinstance(values["x-one" if "x-one" in values else "X-One"], list) else "1"
    )
    return _json(ERROR, event)


def _bad_header_value(name: str, chance: random.Random) -> Malformed:
    event = _event(name, chance)
    values = _headers_of(event)
    bad = chance.choice(_BAD_VALUES)
    values["x-bad"] = ["1", bad] if name in (*_MULTI, "lattice-v2") else bad
    return _json(ERROR, event)


def _surrogate(name: str, chance: random.Random) -> Malformed:
    event = _event(name, chance)
    where = chance.choice(["header", "body", "ignored", "path"])
    if where == "header":
        _headers_of(event)["x-bad"] = ["\ud800"] if name in (*_MULTI, "lattice-v2") else "\udfff"
    elif where == "path":
        event[_PATHS.get(name, "path")] = "/\ud800"
    else:
        event[where] = "a\ud800b"
    return _json(ERROR, event)


def _wrong_type(name: str, chance: random.Random) -> Malformed:
    """Return an event with a field of the wrong type. It may match no front door, and is then passed through."""
    event = _event(name, chance)
    event[chance.choice(list(_GOOD[name]))] = chance.choice(_WRONG_TYPES)
    return _json(EITHER, event)


def _wrong_type_inside(name: str, chance: random.Random) -> Malformed:
    event = _event(name, chance)
    inner = [each for each, value in _GOOD[name].items() if isinstance(value, dict)]
    event[chance.choice(inner)]["x-one"] = chance.choice([0, 1.5, True, {}, {"a": "b"}, [1], [None], [["a"]]])
    return _json(EITHER, event)


def _bad_base64(name: str, chance: random.Random) -> Malformed:
    event = _event(name, chance)
    event["body"] = chance.choice(_BAD_BASE64)
    event["is_base64_encoded" if name == "lattice-v1" else "isBase64Encoded"] = True
    return _json(ERROR, event)


def _bad_base64_flag(name: str, chance: random.Random) -> Malformed:
    event = _event(name, chance)
    flag = chance.choice(["true", "false", "", 0, 1, [], {}, [True]])
    event["is_base64_encoded" if name == "lattice-v1" else "isBase64Encoded"] = flag
    return _json(ERROR, event)


def _bad_body(name: str, chance: random.Random) -> Malformed:
    event = _event(name, chance)
    event["body"] = chance.choice([0, 1.5, True, [], {}, ["hello"], {"a": "b"}])
    return _json(ERROR, event)


def _bad_method(name: str, chance: random.Random) -> Malformed:
    event = _event(name, chance)
    *outer, last = _METHODS.get(name, ("httpMethod",))
    holder = event
    for key in outer:
        holder = holder[key]
    holder[last] = chance.choice([*_BAD_METHODS, None, 1, [], {}])
    return _json(ERROR, event)


def _odd_path(name: str, chance: random.Random) -> Malformed:
    event = _event(name, chance)
    event[_PATHS.get(name, "path")] = chance.choice(_PATHS_OF_ANY_KIND)
    return _json(REQUEST, event)


def _bad_path(name: str, chance: random.Random) -> Malformed:
    event = _event(name, chance)
    event[_PATHS.get(name, "path")] = chance.choice([0, 1.5, True, [], {}, ["/"], {"a": "b"}])
    return _json(ERROR, event)


def _two_hosts(name: str, chance: random.Random) -> Malformed:
    event = _event(name, chance)
    values = _headers_of(event)
    values["HOST"] = ["evil.example"] if name in (*_MULTI, "lattice-v2") else "evil.example"
    return _json(ERROR, event)


def _framing(name: str, chance: random.Random) -> Malformed:
    event = _event(name, chance)
    values = _headers_of(event)
    for header in ("Content-Length", "Transfer-Encoding", "Connection", "TE", "Upgrade", "Expect", "content-length"):
        value = chance.choice(["chunked", "0", "99999", "-1", "close", "x-one", "h2c", "100-continue"])
        values[header] = [value, value] if name in (*_MULTI, "lattice-v2") else value
    return _json(REQUEST, event)


def _deep(name: str, chance: random.Random) -> Malformed:
    depth = chance.choice([1_100, 5_000, 100_000])
    opening, closing = chance.choice([("[", "]"), ('{"a":', "}")])
    middle = "1" if opening != "[" else ""
    deep = opening * depth + middle + closing * depth
    return ERROR, _with_field(_event(name, chance), "deep", deep)


def _odd_number(name: str, chance: random.Random) -> Malformed:
    number = chance.choice(
        ["NaN", "Infinity", "-Infinity", "9" * 5_000, "-" + "9" * 5_000, "1e999999", "0x10", "1_000"]
    )
    return ERROR, _with_field(_event(name, chance), "number", number)


def _twice(name: str, chance: random.Random) -> Malformed:
    event = _event(name, chance)
    repeated = chance.choice([each for each in event if each != "version"])
    return ERROR, _with_field(event, repeated, json.dumps(event[repeated]))


def _header_twice(name: str, chance: random.Random) -> Malformed:
    text = json.dumps(_event(name, chance))
    return ERROR, text.replace('"x-one":', '"x-two": "1", "x-two": "1", "x-one":').replace(
        '"X-One":', '"x-two": "1", "x-two": "1", "X-One":', 1
    ).encode()


def _not_utf_8(name: str, chance: random.Random) -> Malformed:
    raw = json.dumps(_event(name, chance)).encode()
    bad = chance.choice([b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xc0\xaf", b"\x80"])
    return ERROR, raw.replace(b"hello", b"hel" + bad + b"lo")


def _cut(name: str, chance: random.Random) -> Malformed:
    raw = json.dumps(_event(name, chance)).encode()
    return ERROR, raw[: chance.randrange(len(raw))]


def _not_json(name: str, chance: random.Random) -> Malformed:
    text = chance.choice(_NOT_JSON)
    return ERROR, (text.replace("1", str(chance.randrange(1, 10**6)), 1) if "01" not in text else text).encode()


def _flipped(name: str, chance: random.Random) -> Malformed:
    """Return an event with one random byte changed. Any result except a crash is allowed."""
    raw = bytearray(json.dumps(_event(name, chance)).encode())
    raw[chance.randrange(len(raw))] = chance.randrange(256)
    return EITHER, bytes(raw)


def _bad_cookies(name: str, chance: random.Random) -> Malformed:
    event = _event("http-api", chance)
    event["cookies"] = chance.choice(["a=b", {"a": "b"}, [1], [None], ["a\r\nx-evil: 1"], ["a=\0"], [["a=b"]], 5, True])
    return _json(ERROR, event)


def _with_field(event: Event, name: str, value: str) -> bytes:
    """Return ``event`` with one more field. ``value`` is raw JSON, or text that a lenient parser accepts as JSON."""
    return f'{json.dumps(event)[:-1]}, "{name}": {value}}}'.encode()


_MUTATIONS: list[Callable[[str, random.Random], Malformed]] = [
    _bad_header_name,
    _bad_header_value,
    _surrogate,
    _wrong_type,
    _wrong_type_inside,
    _bad_base64,
    _bad_base64_flag,
    _bad_body,
    _bad_method,
    _odd_path,
    _bad_path,
    _two_hosts,
    _framing,
    _deep,
    _odd_number,
    _twice,
    _header_twice,
    _not_utf_8,
    _cut,
    _not_json,
    _flipped,
    _bad_cookies,
]
