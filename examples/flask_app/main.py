"""A Flask app with one route for everything that is hard to carry through a proxy.

Streams, server-sent events, large downloads and uploads, several cookies, empty responses, crashes halfway and events
that are not HTTP. A parameter out of its bounds is answered with 400 and a sentence that begins with its name.

    gunicorn main:app --threads 8
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TypeVar

from flask import Flask, Response, abort, jsonify, request
from werkzeug.exceptions import HTTPException
from werkzeug.routing import BaseConverter
from werkzeug.wrappers import Response as BaseResponse

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]

KIB = 1024
PIECE_BYTES = 64 * KIB
MAX_BYTES = KIB**3
MAX_PIECES = 100_000
MAX_INTERVAL_SECONDS = 60.0

# The byte at offset i of a download is i modulo 251, the largest prime below 256. No power of two is a multiple of it,
# so a block of 4 KiB or 64 KiB that gets lost, doubled or swapped on the way puts bytes where they do not belong.
PERIOD = 251
PATTERN = bytes(range(PERIOD)) * (PIECE_BYTES // PERIOD + 2)

Number = TypeVar("Number", int, float)


class AnyPath(BaseConverter):
    """The rest of the path, empty or with leading slashes too, which Werkzeug's own ``path`` does not match."""

    regex = ".*"
    part_isolating = False


app = Flask(__name__)
app.url_map.converters["anypath"] = AnyPath


@app.errorhandler(HTTPException)
def show_error(error: HTTPException) -> BaseResponse:
    """Errors are JSON: ``{"detail": "…"}``. The rest of Werkzeug's response stays, ``Allow`` for one."""
    response = error.get_response()
    response.data = json.dumps({"detail": error.description})
    response.content_type = "application/json"
    return response


def bounded(name: str, text: str, low: Number, high: Number) -> Number:
    """``text`` as a number of the bounds' type; 400 unless it is one from ``low`` to ``high``."""
    kind = type(low)
    try:
        value = kind(text)
    except ValueError:
        abort(400, f"{name}: {text!r} is not a valid {kind.__name__}")
    if not low <= value <= high:  # also true of NaN
        abort(400, f"{name}: {text} is not between {low} and {high}")
    return value


def parameter(name: str, default: Number, low: Number, high: Number) -> Number:
    """The query parameter ``name``, or its default."""
    return bounded(name, request.args.get(name, str(default)), low, high)


def paced(count: int, interval: float) -> Iterator[int]:
    """1 to ``count``, with ``interval`` seconds between one and the next."""
    for number in range(1, count + 1):
        if number > 1:
            time.sleep(interval)
        yield number


def pieces(size: int) -> Iterator[bytes]:
    """``size`` bytes of the pattern, one piece at a time."""
    for offset in range(0, size, PIECE_BYTES):
        start = offset % PERIOD
        yield PATTERN[start : start + min(PIECE_BYTES, size - offset)]


@app.get("/")
def index() -> Response:
    return jsonify(
        framework="flask",
        try_these=["/echo/a%2Fb?x=1", "/stream?chunks=5&interval=1", "/sse?events=5", "/download?bytes=10485760"],
    )


@app.route("/echo/<anypath:rest>", methods=METHODS, provide_automatic_options=False)
def echo(rest: str) -> Response:
    # ``rest`` is percent-decoded. Only the server knows the target as it came, and PEP 3333 has no name for it: it is
    # gunicorn's RAW_URI and waitress's REQUEST_URI; Werkzeug's own server sets both.
    target: str = request.environ.get("RAW_URI") or request.environ["REQUEST_URI"]
    path, _, query = target.partition("?")
    return jsonify(
        method=request.method,
        path=path,
        query=query,
        headers=list(request.headers),
        body=base64.b64encode(request.get_data()).decode(),
    )


@app.get("/stream")
def stream() -> Response:
    chunks = parameter("chunks", 5, 0, MAX_PIECES)
    interval = parameter("interval", 1.0, 0.0, MAX_INTERVAL_SECONDS)
    lines = (f"chunk {number} of {chunks}\n" for number in paced(chunks, interval))
    return Response(lines, mimetype="text/plain")


@app.get("/sse")
def sse() -> Response:
    events = parameter("events", 5, 0, MAX_PIECES)
    interval = parameter("interval", 1.0, 0.0, MAX_INTERVAL_SECONDS)
    messages = (
        f"id: {number}\ndata: {json.dumps({'number': number, 'of': events})}\n\n" for number in paced(events, interval)
    )
    return Response(messages, mimetype="text/event-stream", headers={"Cache-Control": "no-cache"})


@app.get("/download")
def download() -> Response:
    size = parameter("bytes", KIB**2, 0, MAX_BYTES)
    return Response(pieces(size), mimetype="application/octet-stream", headers={"Content-Length": str(size)})


@app.post("/upload")
def upload() -> Response:
    length, digest = 0, hashlib.sha256()
    while piece := request.stream.read(PIECE_BYTES):
        length += len(piece)
        digest.update(piece)
    return jsonify(length=length, sha256=digest.hexdigest())


@app.get("/cookies")
def cookies() -> Response:
    response = jsonify(received=request.cookies)
    response.set_cookie("session", "abc123", httponly=True, samesite="Lax")
    # Expires contains a comma. So Set-Cookie headers that are joined with commas cannot be split again.
    response.set_cookie("theme", "dark", expires=datetime(2038, 1, 1, tzinfo=UTC))
    return response


@app.get("/status/<code>")
def status(code: str) -> Response:
    number = bounded("code", code, 200, 599)
    if number in (204, 205, 304):
        return Response(status=number)
    response = jsonify(status=number)
    response.status_code = number
    return response


@app.get("/crash-midstream")
def crash_midstream() -> Response:
    size = parameter("bytes", PIECE_BYTES, 1, MAX_BYTES)
    how = request.args.get("how", "exception")
    if how not in ("exception", "exit"):
        abort(400, f"how: {how!r} is neither 'exception' nor 'exit'")

    def crash() -> Iterator[bytes]:
        yield from pieces(size)
        # A WSGI server asks for the next piece when it is done with the one before. gunicorn's threads write to a
        # blocking socket, so by now the kernel has every byte, and delivers it even though the process is gone.
        if how == "exit":
            os._exit(1)
        raise RuntimeError(f"crashed on purpose after {size} bytes")

    return Response(crash(), mimetype="application/octet-stream")


def kind_and_records(event: object) -> tuple[str, list[object]]:
    """The AWS source that an event names (``aws:sqs``, ``aws.ec2``, else ``unknown``), and its ``Records``."""
    match event:
        case {"Records": [{"eventSource": str(kind)} | {"EventSource": str(kind)}, *_] as records}:
            return kind, list(records)
        case {"source": str(kind)} | {"eventSource": str(kind)}:
            return kind, []
    return "unknown", []


def failed_messages(records: list[object]) -> Iterator[str]:
    """The ids of the SQS messages whose body is ``fail``."""
    for record in records:
        match record:
            case {"messageId": str(message_id), "body": "fail"}:
                yield message_id


@app.post("/events")
def receive_event() -> Response:
    kind, records = kind_and_records(request.get_json(force=True))
    if kind == "aws:sqs":
        # What Lambda reads from a queue's consumer: these messages stay in the queue, the others are deleted.
        return jsonify(batchItemFailures=[{"itemIdentifier": each} for each in failed_messages(records)])
    return jsonify(kind=kind, records=len(records))
