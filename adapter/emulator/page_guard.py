"""Refuses requests of web pages to the Invoke APIs, the Runtime API and the emulator's own paths.

These ports have no passwords, and a page in a browser on this machine can reach loopback: directly, or by a name of its
own that it points at this machine (DNS rebinding). Such a request can be recognized: browsers send where it comes from
(Origin, Sec-Fetch-Site), and send the page's host as Host, which no program uses for this machine.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import TYPE_CHECKING

from adapter.payload.headers import excerpt, first_values

if TYPE_CHECKING:
    from adapter.payload.headers import Headers

# urlsplit would find "::1" in "[::1].evil.example".
_HOST = re.compile(r"(?P<name>[a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")


def page_refusal(headers: Headers) -> str:
    """Return why a request with ``headers`` may come from a web page; empty if it does not."""
    fields = first_values(headers)
    # Without a page this field is "none", if the user typed the address, or absent, if the client is not a browser.
    if fields.get("origin") or fields.get("sec-fetch-site", "").lower() not in ("", "none"):
        return "web pages may not use this API: the request has an Origin"
    host = fields.get("host", "")
    if host and not _is_own_name(host):
        return f"the Host {excerpt(host)} is not a name of this machine; use localhost or an IP address"
    return ""


def _is_own_name(host: str) -> bool:
    """Return True if ``host`` cannot be the host of a web page: it is an address, or cannot be registered."""
    matched = _HOST.fullmatch(host.lower())
    if matched is None:
        return False
    name = matched["name"].strip("[]")
    # Most clients send one of these, which needs no further check.
    if name in ("localhost", "127.0.0.1"):
        return True
    try:
        ip_address(name)
    except ValueError:
        # Names without a dot (a service of Docker Compose) cannot be registered.
        return "." not in name or name == "host.docker.internal" or name.endswith(".localhost")
    return True
