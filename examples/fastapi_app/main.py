"""A FastAPI app with one route for everything that is hard to carry through a proxy.

Streams, server-sent events, large downloads and uploads, several cookies, empty responses, crashes halfway and events
that are not HTTP. A parameter out of its bounds is answered with 400 and a sentence that begins with its name.

    uvicorn main:app
"""

# Not ``from __future__ import annotations``: FastAPI reads the annotations.
import asyncio
import base64
import hashlib
import os
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Annotated, Literal, NoReturn

from fastapi import Depends, FastAPI, HTTPException, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, StreamingResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]

KIB = 1024
PIECE_BYTES = 64 * KIB
MAX_BYTES = KIB**3
MAX_PIECES = 100_000
MAX_INTERVAL_SECONDS = 60

# The byte at offset i of a download is i modulo 251, the largest prime below 256. No power of two is a multiple of it,
# so a block of 4 KiB or 64 KiB that gets lost, doubled or swapped on the way puts bytes where they do not belong.
PERIOD = 251
PATTERN = bytes(range(PERIOD)) * (PIECE_BYTES // PERIOD + 2)

Count = Annotated[int, Query(ge=0, le=MAX_PIECES)]
Seconds = Annotated[float, Query(ge=0, le=MAX_INTERVAL_SECONDS)]
DownloadSize = Annotated[int, Query(alias="bytes", ge=0, le=MAX_BYTES)]
CrashSize = Annotated[int, Query(alias="bytes", ge=1, le=MAX_BYTES)]
StatusCode = Annotated[int, Path(ge=200, le=599)]

app = FastAPI(title="Everything that is hard to carry through a proxy")


class Index(BaseModel):
    framework: str
    try_these: list[str]


class Echo(BaseModel):
    method: str
    path: str
    query: str
    headers: list[tuple[str, str]]
    body: str


class Digest(BaseModel):
    length: int
    sha256: str


class Received(BaseModel):
    kind: str
    records: int


class BatchItemFailure(BaseModel):
    itemIdentifier: str  # noqa: N815 (Lambda's spelling)


class BatchResponse(BaseModel):
    batchItemFailures: list[BatchItemFailure]  # noqa: N815 (Lambda's spelling)


class TextStream(StreamingResponse):
    media_type = "text/plain"


class ByteStream(StreamingResponse):
    media_type = "application/octet-stream"


@app.exception_handler(RequestValidationError)
async def show_mistakes(_request: Request, error: RequestValidationError) -> JSONResponse:
    """Errors are JSON: ``{"detail": "…"}``, the parameter's name first."""
    detail = "; ".join(f"{mistake['loc'][-1]}: {mistake['msg']}" for mistake in error.errors())
    return JSONResponse({"detail": detail}, status_code=400)


async def paced(count: int, interval: float) -> AsyncIterator[int]:
    """1 to ``count``, with ``interval`` seconds between one and the next."""
    for number in range(1, count + 1):
        if number > 1:
            await asyncio.sleep(interval)
        yield number


def pieces(size: int) -> Iterator[bytes]:
    """``size`` bytes of the pattern, one piece at a time."""
    for offset in range(0, size, PIECE_BYTES):
        start = offset % PERIOD
        yield PATTERN[start : start + min(PIECE_BYTES, size - offset)]


@app.head("/", include_in_schema=False)
@app.get("/")
async def index() -> Index:
    return Index(
        framework="fastapi",
        try_these=["/echo/a%2Fb?x=1", "/stream?chunks=5&interval=1", "/sse?events=5", "/download?bytes=10485760"],
    )


@app.api_route("/echo/{rest:path}", methods=METHODS, include_in_schema=False)
async def echo(request: Request) -> Echo:
    # The path parameter and ``scope["path"]`` are percent-decoded; ``raw_path`` is as it came.
    raw_path: bytes = request.scope["raw_path"]
    raw_query: bytes = request.scope["query_string"]
    return Echo(
        method=request.method,
        path=raw_path.decode("latin-1"),
        query=raw_query.decode("latin-1"),
        headers=request.headers.items(),
        body=base64.b64encode(await request.body()).decode(),
    )


@app.get("/stream", response_class=TextStream)
async def stream(chunks: Count = 5, interval: Seconds = 1.0) -> AsyncIterable[str]:
    async for number in paced(chunks, interval):
        yield f"chunk {number} of {chunks}\n"


@app.get("/sse", response_class=EventSourceResponse)
async def sse(events: Count = 5, interval: Seconds = 1.0) -> AsyncIterable[ServerSentEvent]:
    async for number in paced(events, interval):
        yield ServerSentEvent(id=str(number), data={"number": number, "of": events})


async def announced_size(response: Response, size: DownloadSize = KIB**2) -> int:
    """Set the header here: when the generator that streams begins to run, the headers have been sent."""
    response.headers["Content-Length"] = str(size)
    return size


@app.get("/download", response_class=ByteStream)
async def download(size: Annotated[int, Depends(announced_size)]) -> AsyncIterable[bytes]:
    for piece in pieces(size):
        yield piece


@app.head("/download", include_in_schema=False)
async def download_head(size: DownloadSize = KIB**2) -> Response:
    return Response(media_type=ByteStream.media_type, headers={"Content-Length": str(size)})


@app.post("/upload")
async def upload(request: Request) -> Digest:
    length, digest = 0, hashlib.sha256()
    async for piece in request.stream():
        length += len(piece)
        digest.update(piece)
    return Digest(length=length, sha256=digest.hexdigest())


@app.get("/cookies")
async def cookies(request: Request, response: Response) -> dict[str, dict[str, str]]:
    response.set_cookie("session", "abc123", httponly=True, samesite="lax")
    # Expires contains a comma. So Set-Cookie headers that are joined with commas cannot be split again.
    response.set_cookie("theme", "dark", expires=datetime(2038, 1, 1, tzinfo=UTC))
    return {"received": request.cookies}


@app.head("/status/{code}", include_in_schema=False)
@app.get("/status/{code}")
async def status(code: StatusCode) -> Response:
    if code in (204, 205, 304):
        return Response(status_code=code)
    return JSONResponse({"status": code}, status_code=code)


@app.get("/crash-midstream", response_class=ByteStream)
async def crash_midstream(
    request: Request, size: CrashSize = PIECE_BYTES, how: Literal["exception", "exit"] = "exception"
) -> AsyncIterable[bytes]:
    for piece in pieces(size):
        yield piece
    if how == "exit":
        # The reference keeps the task from being collected.
        app.state.exit = asyncio.create_task(exit_when_closed(request))
    raise RuntimeError(f"crashed on purpose after {size} bytes")


async def exit_when_closed(request: Request) -> NoReturn:
    """End the process as soon as the response that just crashed has left it.

    ASGI does not tell an app when its bytes are on the socket: ``send`` returns once the server has taken them, and
    uvicorn leaves what the socket does not take at once in its transport's buffer, which ``os._exit`` would throw away.
    But the exception that follows makes the server close the connection, a closing transport first writes out what it
    holds, and only then does ASGI report ``http.disconnect``.
    """
    while (await request.receive())["type"] != "http.disconnect":
        pass
    os._exit(1)


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
async def receive_event(request: Request) -> Received | BatchResponse:
    try:
        event: object = await request.json()
    except ValueError as error:
        raise HTTPException(400, f"body: not JSON: {error}") from error
    kind, records = kind_and_records(event)
    if kind == "aws:sqs":
        # What Lambda reads from a queue's consumer: these messages stay in the queue, the others are deleted.
        failures = [BatchItemFailure(itemIdentifier=each) for each in failed_messages(records)]
        return BatchResponse(batchItemFailures=failures)
    return Received(kind=kind, records=len(records))
