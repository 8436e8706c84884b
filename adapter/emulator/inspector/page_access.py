"""Decides who may use the inspector: the inspector's own page, and programs that are not browsers.

The inspector shows all requests and sends new ones. So other users of this machine and pages of other sites must not
reach it. Each URL contains a random token, which is new at each start of the emulator. The Host header must be a
loopback name. This refuses pages that use a domain of their own for this machine (DNS rebinding).
"""

from __future__ import annotations

import hmac
import re
from typing import TYPE_CHECKING

from adapter.payload.headers import first_values

if TYPE_CHECKING:
    from adapter.net.server import Exchange

_LOOPBACK_HOST = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?")
#: Headers of each response. They allow only the inspector's own scripts, styles and connections.
SAFETY_HEADERS = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cache-control", "no-store"),
]


def is_allowed(exchange: Exchange) -> bool:
    """Return True if the request comes from the inspector's own page or from a program that is not a browser.

    Return False if another page sent the request, or if its Host header is not a loopback name.
    """
    hosts = [value for name, value in exchange.headers if name.lower() == "host"]
    if len(hosts) != 1 or _LOOPBACK_HOST.fullmatch(hosts[0].lower()) is None:
        return False
    fields = first_values(exchange.headers)
    if fields.get("sec-fetch-site", "none").lower() not in ("none", "same-origin"):
        return False
    origin = fields.get("origin")
    return origin is None or origin.lower() == f"http://{hosts[0].lower()}"


def path_after_token(target: str, token: str) -> str | None:
    """Return the part of ``target`` after ``/TOKEN/``, with the query. Return None if the token is missing or wrong."""
    given, slash, rest = target.removeprefix("/").partition("/")
    # The comparison takes the same time for each wrong token.
    is_right = hmac.compare_digest(given.encode("utf-8", "replace"), token.encode())
    return rest if is_right and slash and target.startswith("/") else None
