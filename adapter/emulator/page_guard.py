"""Keeps web pages out of what only programs may ask: the Invoke APIs, the Runtime API, the emulator's own paths.

These ports have no passwords, and a page that somebody has open can reach loopback through the browser: directly, or by
a name of its own that it points at this machine (DNS rebinding). Such a request gives itself away: browsers say where
it comes from (Origin, Sec-Fetch-Site), and name the page's host as Host, which no program uses for this machine.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import TYPE_CHECKING

from adapter.payload.headers import excerpt, first_values

if TYPE_CHECKING:
    from adapter.payload.headers import Headers

# What a browser says of a request that no page has made: the user typed the address.
_NO_PAGE = frozenset({"", "none"})
# urlsplit would find "::1" in "[::1].evil.example".
_HOST = re.compile(r"(?P<name>[a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")
# What most clients say: a look is enough.
_LOOPBACK = frozenset({"localhost", "127.0.0.1"})
# Names for this machine that have a dot; those without one (localhost, a service of Docker Compose) are nobody's to
# register.
_DOTTED_NAMES = frozenset({"host.docker.internal"})
_DOTTED_SUFFIX = ".localhost"


def page_refusal(headers: Headers) -> str:
    """Why a request with ``headers`` may come from a web page; empty where it does not."""
    fields = first_values(headers)
    if fields.get("origin") or fields.get("sec-fetch-site", "").lower() not in _NO_PAGE:
        return "web pages may not ask this: the request names an Origin"
    host = fields.get("host", "")
    if host and not _is_own(host):
        return f"the Host {excerpt(host)} is not a name of this machine; use localhost or an IP address"
    return ""


def _is_own(host: str) -> bool:
    """Whether no page can have ``host`` for its own: an address, or a name that nobody can register."""
    matched = _HOST.fullmatch(host.lower())
    if matched is None:
        return False
    name = matched["name"].strip("[]")
    if name in _LOOPBACK:
        return True
    try:
        ip_address(name)
    except ValueError:
        return "." not in name or name in _DOTTED_NAMES or name.endswith(_DOTTED_SUFFIX)
    return True
