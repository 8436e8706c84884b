"""An ASGI app that crashes on request, after a complete response. Its server then closes the connection without notice.

The first part of a path is what happens: ``/500/…`` answers 500 and crashes, as frameworks do after an unhandled
exception, ``/200/…`` answers 200 and crashes, as a background task does. Every other path is answered. The header
``executed`` says how often the second part of the path has been executed.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

executed: Counter[str] = Counter()


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        raise NotImplementedError
    while (await receive()).get("more_body"):
        pass
    _, kind, name = [*scope["path"].split("/", 2), "", ""][:3]
    executed[name] += 1
    headers = [(b"executed", b"%d" % executed[name]), (b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 500 if kind == "500" else 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else b"ok"})
    if kind in ("500", "200"):
        raise RuntimeError("the crash that was asked for")
