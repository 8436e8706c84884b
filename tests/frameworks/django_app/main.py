"""A Django project in one file, for an ASGI server: the routes of the example apps that the framework tests ask for."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
from collections.abc import AsyncIterator

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path, re_path

PIECE_BYTES = 64 * 1024
PERIOD = 251
PATTERN = bytes(range(PERIOD)) * (PIECE_BYTES // PERIOD + 2)

settings.configure(
    ALLOWED_HOSTS=os.environ.get("ALLOWED_HOSTS", "*").split(","),
    DATA_UPLOAD_MAX_MEMORY_SIZE=None,
    LOGGING_CONFIG=None,
    ROOT_URLCONF=__name__,
    SECRET_KEY="for tests",
)
django.setup()


async def pieces(size: int) -> AsyncIterator[bytes]:
    """``size`` bytes of the pattern, one piece at a time."""
    for offset in range(0, size, PIECE_BYTES):
        start = offset % PERIOD
        yield PATTERN[start : start + min(PIECE_BYTES, size - offset)]


async def host(request: ASGIRequest) -> HttpResponse:
    """Return the Host, which Django checks when it is asked for, as its CommonMiddleware does for every request."""
    return JsonResponse({"host": request.get_host()})


async def index(request: ASGIRequest) -> HttpResponse:
    return JsonResponse({"framework": "django"})


async def echo(request: ASGIRequest) -> HttpResponse:
    return JsonResponse(
        {
            "method": request.method,
            "path": request.scope["raw_path"].decode("latin-1"),
            "query": request.scope["query_string"].decode("latin-1"),
            "headers": [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.scope["headers"]],
            "body": base64.b64encode(request.body).decode(),
        }
    )


async def stream(request: ASGIRequest) -> StreamingHttpResponse:
    chunks, interval = int(request.GET["chunks"]), float(request.GET["interval"])

    async def lines() -> AsyncIterator[str]:
        for number in range(1, chunks + 1):
            if number > 1:
                await asyncio.sleep(interval)
            yield f"chunk {number} of {chunks}\n"

    return StreamingHttpResponse(lines(), content_type="text/plain; charset=utf-8")


async def download(request: ASGIRequest) -> StreamingHttpResponse:
    size = int(request.GET["bytes"])
    headers = {"Content-Length": str(size)}
    return StreamingHttpResponse(pieces(size), content_type="application/octet-stream", headers=headers)


async def upload(request: ASGIRequest) -> HttpResponse:
    length, digest = 0, hashlib.sha256()
    while piece := request.read(PIECE_BYTES):
        length += len(piece)
        digest.update(piece)
    return JsonResponse({"length": length, "sha256": digest.hexdigest()})


async def cookies(request: ASGIRequest) -> HttpResponse:
    response = JsonResponse({"received": request.COOKIES})
    response.set_cookie("session", "abc123", httponly=True, samesite="Lax")
    response.set_cookie("theme", "dark", expires="Fri, 01 Jan 2038 00:00:00 GMT")
    return response


async def status(request: ASGIRequest, code: int) -> HttpResponse:
    return HttpResponse(status=code)


async def crash_midstream(request: ASGIRequest) -> StreamingHttpResponse:
    size = int(request.GET["bytes"])

    async def crash() -> AsyncIterator[bytes]:
        async for piece in pieces(size):
            yield piece
        raise RuntimeError(f"crashed on purpose after {size} bytes")

    return StreamingHttpResponse(crash(), content_type="application/octet-stream")


urlpatterns = [
    path("", index),
    re_path("^echo/", echo),
    path("stream", stream),
    path("download", download),
    path("upload", upload),
    path("cookies", cookies),
    path("host", host),
    path("status/<int:code>", status),
    path("crash-midstream", crash_midstream),
]

app = get_asgi_application()
