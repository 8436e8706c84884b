"""What both example apps promise, asked for with a plain HTTP client and no adapter in between."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

import pytest

from tests.answer import Answer, read_answer
from tests.apps import Framework, app_process

TIMEOUT_SECONDS = 10.0
KIB = 1024
MIB = 1024**2
BINARY = bytes(range(256)) * 3


@contextmanager
def connected(port: int) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
    try:
        yield connection
    finally:
        connection.close()


def ask(
    connection: http.client.HTTPConnection,
    target: str,
    method: str = "GET",
    *,
    body: bytes | Iterator[bytes] | None = None,
    headers: list[tuple[str, str]] | None = None,
) -> Answer:
    """Send a request and return the answer. An iterator as body is sent chunked, bytes with their length."""
    chunked = body is not None and not isinstance(body, bytes)
    connection.putrequest(method, target)
    for name, value in headers or []:
        connection.putheader(name, value)
    if chunked:
        connection.putheader("Transfer-Encoding", "chunked")
    elif isinstance(body, bytes):
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body, encode_chunked=chunked)
    return read_answer(connection.getresponse())


def get(port: int, target: str) -> Answer:
    with connected(port) as connection:
        return ask(connection, target)


def download_bytes(size: int) -> bytes:
    """Return ``size`` bytes: the byte at offset i is i modulo 251."""
    return (bytes(range(251)) * (size // 251 + 1))[:size]


def test_index_names_the_framework(port: int, framework: Framework) -> None:
    reply = get(port, "/")

    assert reply.status == 200
    assert reply.json()["framework"] == framework
    assert "/stream?chunks=5&interval=1" in reply.json()["try_these"]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_echo_takes_every_method(port: int, method: str) -> None:
    with connected(port) as connection:
        reply = ask(connection, "/echo/x", method)

    assert reply.status == 200
    assert reply.json()["method"] == method


@pytest.mark.parametrize("target", ["/", "/echo/x", "/download?bytes=70000", "/status/200", "/status/503"])
def test_head_is_answered_like_get_without_the_body(port: int, target: str) -> None:
    with connected(port) as connection:
        of_get = ask(connection, target)
        of_head = ask(connection, target, "HEAD")
        after = ask(connection, "/status/201")  # would read a stray body as its head

    assert of_head.status == of_get.status
    assert of_head.body == b""
    assert of_head.all("content-type") == of_get.all("content-type")
    assert int(of_head.all("content-length")[0]) > 0
    assert after.status == 201


@pytest.mark.parametrize(
    ("path", "query"),
    [
        pytest.param("/echo/", "", id="nothing after the prefix"),
        pytest.param("/echo/a/b/", "", id="trailing slash"),
        pytest.param("/echo/a%2Fb%2f", "", id="encoded slashes, both cases"),
        pytest.param("/echo/%2Fa", "", id="encoded slash first"),
        pytest.param("/echo//a//b", "", id="doubled slashes"),
        pytest.param("/echo/a%20b+c", "", id="space and plus"),
        pytest.param("/echo/%E2%82%AC/%FF", "", id="UTF-8 and not UTF-8"),
        pytest.param("/echo/%3Fa%23b%25", "", id="encoded delimiters"),
        pytest.param("/echo/a", "x=1&x=2&y", id="repeated and bare parameters"),
        pytest.param("/echo/a", "q=%20a%2Bb+c&&e=", id="encoded query"),
        pytest.param("/echo/a", "to=/b?c=d", id="delimiters in the query"),
    ],
)
def test_echo_shows_path_and_query_as_they_came(port: int, path: str, query: str) -> None:
    reply = get(port, f"{path}?{query}" if query else path)

    assert reply.json()["path"] == path
    assert reply.json()["query"] == query


def test_echo_shows_headers_as_pairs(port: int, framework: Framework) -> None:
    sent = [("X-Plain", "a b"), ("X-Latin", "caf\xe9"), ("X-Twice", "1"), ("X-Twice", "2"), ("Cookie", "a=1; b=2")]
    with connected(port) as connection:
        reply = ask(connection, "/echo/x", headers=sent)

    pairs = [(name.lower(), value) for name, value in reply.json()["headers"]]
    twice = [("x-twice", "1"), ("x-twice", "2")] if framework == "fastapi" else [("x-twice", "1,2")]
    assert [pair for pair in pairs if pair[0] == "x-twice"] == twice
    assert {("x-plain", "a b"), ("x-latin", "caf\xe9"), ("cookie", "a=1; b=2")} <= set(pairs)


@pytest.mark.parametrize("pieces", [pytest.param([], id="empty"), pytest.param([BINARY, b"x", BINARY], id="binary")])
@pytest.mark.parametrize("chunked", [pytest.param(False, id="with length"), pytest.param(True, id="chunked")])
def test_echo_shows_the_body(port: int, pieces: list[bytes], chunked: bool) -> None:
    with connected(port) as connection:
        reply = ask(connection, "/echo/x", "POST", body=iter(pieces) if chunked else b"".join(pieces))

    assert base64.b64decode(reply.json()["body"]) == b"".join(pieces)


def test_stream_sends_one_line_for_each_chunk(port: int) -> None:
    reply = get(port, "/stream?chunks=3&interval=0")

    assert reply.all("content-type") == ["text/plain; charset=utf-8"]
    assert reply.body == b"chunk 1 of 3\nchunk 2 of 3\nchunk 3 of 3\n"


def test_stream_of_no_chunks_is_empty(port: int) -> None:
    reply = get(port, "/stream?chunks=0")

    assert (reply.status, reply.body) == (200, b"")


def test_sse_sends_numbered_events(port: int) -> None:
    reply = get(port, "/sse?events=2&interval=0")

    assert reply.all("content-type") == ["text/event-stream; charset=utf-8"]
    assert reply.all("cache-control") == ["no-cache"]
    events = [dict(line.split(": ", 1) for line in event.splitlines()) for event in reply.body.decode().split("\n\n")]
    assert [event["id"] for event in events[:2]] == ["1", "2"]
    assert [json.loads(event["data"]) for event in events[:2]] == [{"number": 1, "of": 2}, {"number": 2, "of": 2}]
    assert events[2:] == [{}]


@pytest.mark.parametrize("target", ["/stream?chunks=3&interval=0.25", "/sse?events=3&interval=0.25"])
def test_pieces_are_flushed_as_they_are_produced(port: int, target: str) -> None:
    with connected(port) as connection:
        connection.request("GET", target)
        response = connection.getresponse()
        arrivals = []
        while response.read1():
            arrivals.append(monotonic())

    assert len(arrivals) == 3
    # 0.5 s were spent between the first and the last; half of it is left for a machine that is busy.
    assert arrivals[-1] - arrivals[0] > 0.25


@pytest.mark.parametrize("size", [0, 1, 250, 65_536, 65_537, 1_000_003, 8 * MIB])
def test_download_is_a_function_of_the_offset(port: int, size: int) -> None:
    reply = get(port, f"/download?bytes={size}")

    assert reply.all("content-type") == ["application/octet-stream"]
    assert reply.all("content-length") == [str(size)]
    assert reply.body == download_bytes(size)


def test_the_largest_download_starts_at_once(port: int) -> None:
    with connected(port) as connection:
        connection.request("GET", f"/download?bytes={1024 * MIB}")
        assert connection.getresponse().read(1000) == download_bytes(1000)

    assert get(port, "/").status == 200


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param([], id="empty"),
        pytest.param([b"abc"], id="small"),
        pytest.param([BINARY * 1000] * 3, id="larger than a buffer"),
    ],
)
@pytest.mark.parametrize("chunked", [pytest.param(False, id="with length"), pytest.param(True, id="chunked")])
def test_upload_answers_with_length_and_digest(port: int, pieces: list[bytes], chunked: bool) -> None:
    whole = b"".join(pieces)
    with connected(port) as connection:
        reply = ask(connection, "/upload", "POST", body=iter(pieces) if chunked else whole)

    assert reply.json() == {"length": len(whole), "sha256": hashlib.sha256(whole).hexdigest()}


def test_cookies_come_in_two_headers_one_with_a_comma(port: int) -> None:
    with connected(port) as connection:
        reply = ask(connection, "/cookies", headers=[("Cookie", "theme=light; session=s")])

    session, theme = reply.all("set-cookie")
    assert session.startswith("session=abc123;")
    assert theme.startswith("theme=dark;")
    assert "expires=fri, 01 jan 2038 00:00:00 gmt" in theme.lower()
    assert reply.json() == {"received": {"theme": "light", "session": "s"}}


@pytest.mark.parametrize("status", [200, 201, 302, 404, 418, 500, 503, 599])
def test_status_is_the_one_asked_for(port: int, status: int) -> None:
    reply = get(port, f"/status/{status}")

    assert reply.status == status
    assert reply.json() == {"status": status}


@pytest.mark.parametrize("status", [204, 205, 304])
def test_a_status_that_forbids_a_body_has_none(port: int, status: int) -> None:
    with connected(port) as connection:
        reply = ask(connection, f"/status/{status}")
        after = ask(connection, "/status/201")  # would read a stray body as its head

    assert (reply.status, reply.body) == (status, b"")
    assert "transfer-encoding" not in reply.headers
    assert reply.all("content-length") == (["0"] if status == 205 else [])
    assert after.status == 201


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("/stream?chunks=-1", "chunks"),
        ("/stream?chunks=100001", "chunks"),
        ("/stream?chunks=many", "chunks"),
        ("/stream?chunks=", "chunks"),
        ("/stream?interval=-0.1", "interval"),
        ("/stream?interval=60.1", "interval"),
        ("/stream?interval=nan", "interval"),
        ("/stream?interval=inf", "interval"),
        ("/sse?events=-1", "events"),
        ("/sse?interval=x", "interval"),
        ("/download?bytes=-1", "bytes"),
        ("/download?bytes=1073741825", "bytes"),
        ("/download?bytes=1.5", "bytes"),
        ("/crash-midstream?bytes=0", "bytes"),
        ("/crash-midstream?how=slowly", "how"),
        ("/status/199", "code"),
        ("/status/600", "code"),
        ("/status/ok", "code"),
    ],
)
def test_a_parameter_out_of_bounds_is_named(port: int, target: str, name: str) -> None:
    reply = get(port, target)

    assert reply.status == 400
    assert reply.json()["detail"].startswith(f"{name}: ")


def test_an_unknown_path_is_not_found(port: int) -> None:
    reply = get(port, "/nowhere")

    assert reply.status == 404
    assert "detail" in reply.json()


def test_a_wrong_method_is_told_the_right_one(port: int) -> None:
    reply = get(port, "/upload")

    assert reply.status == 405
    assert "POST" in reply.all("allow")[0]


def records_of(source_key: str, source: str, *bodies: str) -> dict[str, object]:
    """Return an event whose records have the ids m0, m1, …"""
    return {
        "Records": [{source_key: source, "messageId": f"m{index}", "body": body} for index, body in enumerate(bodies)]
    }


@pytest.mark.parametrize(
    ("event", "answer"),
    [
        pytest.param(
            records_of("eventSource", "aws:sqs", "a", "fail", "b", "fail"),
            {"batchItemFailures": [{"itemIdentifier": "m1"}, {"itemIdentifier": "m3"}]},
            id="SQS, some fail",
        ),
        pytest.param(records_of("eventSource", "aws:sqs", "a"), {"batchItemFailures": []}, id="SQS, none fails"),
        pytest.param(records_of("EventSource", "aws:sns", "a"), {"kind": "aws:sns", "records": 1}, id="SNS"),
        pytest.param(records_of("eventSource", "aws:s3", "", ""), {"kind": "aws:s3", "records": 2}, id="S3"),
        pytest.param({"source": "aws.ec2", "detail": {}}, {"kind": "aws.ec2", "records": 0}, id="EventBridge"),
        pytest.param({"Records": []}, {"kind": "unknown", "records": 0}, id="no records"),
        pytest.param([1, "two"], {"kind": "unknown", "records": 0}, id="not an object"),
    ],
)
def test_events_are_recognised(port: int, event: object, answer: object) -> None:
    with connected(port) as connection:
        reply = ask(connection, "/events", "POST", body=json.dumps(event).encode())

    assert (reply.status, reply.json()) == (200, answer)


def test_an_event_that_is_not_json_is_refused(port: int) -> None:
    with connected(port) as connection:
        reply = ask(connection, "/events", "POST", body=b"{")

    assert reply.status == 400
    assert "detail" in reply.json()


def truncated_body(connection: http.client.HTTPConnection, target: str) -> bytes:
    """Return the body of a response that must end before it is complete."""
    connection.request("GET", target)
    response = connection.getresponse()
    assert response.status == 200
    with pytest.raises(http.client.IncompleteRead) as caught:
        response.read()
    return caught.value.partial


@pytest.mark.parametrize("query", ["bytes=100000", "bytes=1&how=exception"])
def test_an_exception_midstream_truncates_the_response(port: int, query: str) -> None:
    size = int(query.removeprefix("bytes=").partition("&")[0])
    with connected(port) as connection:
        body = truncated_body(connection, f"/crash-midstream?{query}")

    assert body == download_bytes(size)
    assert get(port, "/").status == 200


@pytest.mark.parametrize(
    "size", [pytest.param(1, id="one byte"), pytest.param(128 * KIB, id="more than the sockets hold")]
)
def test_an_exit_midstream_delivers_what_was_sent_and_ends_the_process(framework: Framework, size: int) -> None:
    with app_process(framework) as (process, port), connected(port) as bystander, connected(port) as connection:
        bystander.request("GET", "/stream?chunks=2&interval=60")
        waiting = bystander.getresponse()
        assert waiting.readline() == b"chunk 1 of 2\n"

        connection.sock = narrow_socket(port)
        body = truncated_body(connection, f"/crash-midstream?bytes={size}&how=exit")

        assert len(body) == size
        assert body == download_bytes(size)
        with pytest.raises(http.client.IncompleteRead):
            waiting.read()
        if framework == "fastapi":
            assert process.wait(TIMEOUT_SECONDS) == 1
        else:
            assert get(port, "/").status == 200  # by the worker that gunicorn has started in its place


def narrow_socket(port: int) -> socket.socket:
    """A connection that holds about 30 KiB in both kernels together, so that the rest has to wait inside the server.

    Linux sizes the sender's buffer by the segments that the receiver accepts.
    """
    sock = socket.socket()
    sock.settimeout(TIMEOUT_SECONDS)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, KIB)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)  # bytes; what IPv4 hosts must accept, RFC 9293 3.7.1
    sock.connect(("127.0.0.1", port))
    return sock
