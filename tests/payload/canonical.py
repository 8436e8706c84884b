"""What each format keeps of a request and of a response, stated once: the canonical forms of the round-trip tests.

A format that joins headers or has single-value maps loses information by design. ``kept_of_request`` and
``kept_of_response`` say exactly which; a round trip must keep everything else. They are written without the code under
test.
"""

from __future__ import annotations

import re
from urllib.parse import quote, unquote, unquote_plus

from adapter.payload.messages import Request, ResponseHead

Pairs = list[tuple[str, str]]
Canonical = tuple[str, str, Pairs, bytes | bytearray]

#: Requests: repeated headers are joined with a comma, cookies into one header.
JOINED_REQUESTS = {"http-api", "function-url", "lattice-v1"}
#: Requests: only the last line of each header arrives.
LAST_REQUESTS = {"alb"}
#: Requests: headers about the connection that do not arrive.
NOT_IN_EVENTS = {
    "rest-api": {"connection", "content-length", "transfer-encoding", "trailer"},
    "function-url": {"connection"},
}
#: Requests: queries become maps of decoded values, in which repeats stand together.
DECODED_QUERIES = {"rest-api", "lattice-v2"}
#: Requests: queries become a map of one encoded value for each name, the last; or of all its values.
SINGLE_QUERIES = {"alb"}
LISTED_QUERIES = {"alb-multi-value"}
#: Responses: repeated headers are joined, and of the cookies all survive or only the last.
JOINED_RESPONSES = {"http-api", "function-url", "alb", "lattice-v1", "lattice-v2", "prelude"}
LAST_COOKIE_ONLY = {"alb", "lattice-v1", "lattice-v2"}


def grouped(pairs: Pairs) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for name, value in pairs:
        groups.setdefault(name, []).append(value)
    return groups


def kept_of_request(name: str, request: Request) -> Canonical:
    dropped = NOT_IN_EVENTS.get(name, set())
    headers = grouped([(field.lower(), value) for field, value in request.headers if field.lower() not in dropped])
    if name in LAST_REQUESTS:
        headers = {field: values[-1:] for field, values in headers.items()}
    if name in JOINED_REQUESTS:
        cookies = [part.strip() for value in headers.pop("cookie", []) for part in value.split(";") if part.strip()]
        headers = {field: [",".join(values)] for field, values in headers.items()}
        if cookies:
            headers["cookie"] = ["; ".join(cookies)]
    return request.method, _kept_of_target(name, request.target), _flat(headers), request.body


def kept_of_response(name: str, head: ResponseHead, body: bytes) -> tuple[int, Pairs, bytes]:
    headers = grouped([(field.lower(), value) for field, value in head.headers])
    if name in JOINED_RESPONSES:
        cookies = headers.pop("set-cookie", [])
        headers = {field: [", ".join(values)] for field, values in headers.items()}
        if cookies:
            headers["set-cookie"] = cookies[-1:] if name in LAST_COOKIE_ONLY else cookies
    return head.status, _flat(headers), body


def _kept_of_target(name: str, target: str) -> str:
    path, _, query = target.partition("?")
    path = _kept_of_path(name, path)
    pairs = [(part.partition("=")[0], part.partition("=")[2]) for part in query.split("&") if part]
    if name in DECODED_QUERIES:
        groups = grouped([(unquote_plus(key), unquote_plus(value)) for key, value in pairs])
        query = "&".join(f"{quote(key, safe='')}={quote(value, safe='')}" for key, value in _in_order(groups))
    elif name in SINGLE_QUERIES:
        query = "&".join(f"{key}={values[-1]}" for key, values in grouped(pairs).items())
    elif name in LISTED_QUERIES:
        query = "&".join(f"{key}={value}" for key, value in _in_order(grouped(pairs)))
    return f"{path}?{query}" if query else path


_LONE_PERCENT = re.compile("%(?![0-9A-Fa-f]{2})")
_LEGAL = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in "#?")


def _kept_of_path(name: str, path: str) -> str:
    if name == "rest-api":
        return "/" + path.lstrip("/")
    if name == "http-api":
        path = quote(unquote(_decoded_once(path)), safe=_LEGAL)
    return _LONE_PERCENT.sub("%25", path) if name in ("http-api", "function-url") else path


def _decoded_once(path: str) -> str:
    return unquote(path).partition("?")[0]


def is_refused(name: str, target: str) -> bool:
    """Return whether the front door of this format refuses the path of ``target``."""
    return name == "http-api" and bool(_LONE_PERCENT.search(_decoded_once(target.partition("?")[0])))


def _in_order(groups: dict[str, list[str]]) -> Pairs:
    return [(name, value) for name, values in groups.items() for value in values]


def _flat(groups: dict[str, list[str]]) -> Pairs:
    return sorted(_in_order(groups), key=lambda pair: pair[0])
