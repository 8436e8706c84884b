"""A minimal reverse proxy with aiohttp: ``python aiohttp_proxy.py LISTEN_PORT APP_PORT``.

It has no log, no limits and only default settings. It changes only headers that would break the framing.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator

from aiohttp import ClientSession, ClientTimeout, web
from multidict import CIMultiDictProxy

_FRAMING = frozenset({"connection", "content-length", "host", "transfer-encoding"})


def _forwarded(headers: CIMultiDictProxy[str]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in headers.items() if name.lower() not in _FRAMING]


def make_app(upstream: str) -> web.Application:
    session_key = web.AppKey("session", ClientSession)

    async def keep_session(app: web.Application) -> AsyncIterator[None]:
        async with ClientSession(timeout=ClientTimeout(total=None), auto_decompress=False) as session:
            app[session_key] = session
            yield

    async def relay(request: web.Request) -> web.StreamResponse:
        session = request.app[session_key]
        data = request.content if request.body_exists else None
        url = f"{upstream}{request.raw_path}"
        async with session.request(request.method, url, headers=_forwarded(request.headers), data=data) as answer:
            response = web.StreamResponse(status=answer.status, headers=_forwarded(answer.headers))
            response.content_length = answer.content_length
            await response.prepare(request)
            async for piece in answer.content.iter_any():
                await response.write(piece)
            await response.write_eof()
            return response

    app = web.Application()
    app.cleanup_ctx.append(keep_session)
    app.router.add_route("*", "/{path:.*}", relay)
    return app


if __name__ == "__main__":
    listen, app_port = map(int, sys.argv[1:])
    web.run_app(
        make_app(f"http://127.0.0.1:{app_port}"), host="127.0.0.1", port=listen, access_log=None, print=lambda *_: None
    )
