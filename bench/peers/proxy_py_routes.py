"""A plugin for proxy.py: a reverse proxy that forwards all requests to the app at APP_PORT."""

from __future__ import annotations

import os

from proxy.common.types import RePattern
from proxy.http import Url
from proxy.http.parser import HttpParser
from proxy.http.server import ReverseProxyBasePlugin

_APP = f"http://127.0.0.1:{os.environ['APP_PORT']}"  # noqa: TID251 (a program of its own)


class Everything(ReverseProxyBasePlugin):  # type: ignore[misc]  # proxy.py is not installed where types are checked
    """One route for all paths."""

    def routes(self) -> list[str | tuple[str, list[bytes]]]:
        return [r"/.*"]

    def handle_route(self, request: HttpParser, pattern: RePattern) -> Url:
        return Url.from_bytes(_APP.encode() + (request.path or b"/"))
