"""Recognizes requests from web pages. The Invoke APIs, the Runtime API and the emulator's own paths refuse them.

These APIs have no passwords, and a page in a browser on this machine can reach them on loopback. Browsers send the
page's origin with such requests (Origin, Sec-Fetch-Site). A page can also use a domain name of its own that resolves to
this machine (DNS rebinding). The Host header of such a request contains the domain name. Programs other than browsers
do not use such a name for this machine.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import TYPE_CHECKING

from adapter.payload.headers import excerpt

if TYPE_CHECKING:
    from adapter.payload.headers import Headers

# A regular expression, because urlsplit returns the hostname "::1" for "[::1].evil.example".
_HOST = re.compile(r"(?P<name>[a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")


def page_refusal(headers: Headers) -> str:
    """Return why a request with ``headers`` is refused, or an empty string if it is allowed.

    A request is refused if a web page might have sent it.
    """
    for name, value in headers:
        field = name.lower()
        # Sec-Fetch-Site is "none" if the user typed the URL. Clients other than browsers do not send this header.
        if (field == "origin" and value) or (field == "sec-fetch-site" and value.lower() not in ("", "none")):
            return "a web page sent this request (Origin or Sec-Fetch-Site header); web pages may not use this API"
        if field == "host" and value and not _is_own_name(value):
            return f"the Host header {excerpt(value)} is not a name of this machine; use localhost or an IP address"
    return ""


def _is_own_name(host: str) -> bool:
    """Return True if ``host`` is an IP address or a name that an attacker cannot register as a domain."""
    matched = _HOST.fullmatch(host.lower())
    if matched is None:
        return False
    name = matched["name"].strip("[]")
    # The names that most clients use are checked first, without parsing an address.
    if name in ("localhost", "127.0.0.1"):
        return True
    try:
        ip_address(name)
    except ValueError:
        # Names without a dot, for example of Docker Compose services, cannot be registered.
        return "." not in name or name == "host.docker.internal" or name.endswith(".localhost")
    return True
