"""The app as the upstream: one exchange at a time, connections used again only when that is safe, and readiness."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from itertools import accumulate, count
from pathlib import Path
from select import POLLIN, poll
from time import monotonic

import pytest

from adapter.app.readiness import ReadinessCheck
from adapter.config.load import load
from adapter.errors import (
    AppExited,
    AppNotReady,
    AppTimeout,
    AppUnreachable,
    HookFailed,
    InvalidAppResponse,
    TruncatedResponse,
)
from adapter.payload.messages import Request
from adapter.runtime.app_client import AppClient, call_hook, wait_until_ready
from adapter.runtime.connection import Response
from tests.scripted_app import OK, PATIENCE, Received, ScriptedApp, response

GET = Request(method="GET", target="/", headers=[])
AppOf = Callable[..., AppClient]


@pytest.fixture
def app_of() -> Iterator[AppOf]:
    """Makes the client side of a scripted app, with variables of the user's, and closes it."""
    made: list[AppClient] = []

    def make(app: ScriptedApp, **environ: str) -> AppClient:
        made.append(AppClient(load({"AWS_LWA_POOL_IDLE_TIMEOUT_SECONDS": "1000"} | environ), app.port))
        return made[-1]

    yield make
    for each in made:
        each.close()


def exchange(app: AppClient, request: Request = GET) -> tuple[int, bytes]:
    answer = app.send(request, monotonic() + PATIENCE)
    body = body_of(answer)
    app.release(answer)
    return answer.head.status, body


def body_of(answer: Response) -> bytes:
    body = answer.read(1 << 30)
    assert body is not None
    return bytes(body)


def has_hung_up(client: AppClient) -> None:
    """Return when the idle connection shows that the app has closed it."""
    assert client._idle is not None
    poller = poll()
    poller.register(client._idle, POLLIN)
    assert poller.poll(PATIENCE * 1000)


def test_a_request_reaches_the_app_as_it_is_and_the_response_comes_back(app: ScriptedApp, app_of: AppOf) -> None:
    request = Request(method="PUT", target="/a%2Fb?x=1", headers=[("X-A", "1"), ("x-a", "2")], body=b"\0body")
    app.default = response(b"\xff\0", "X-B: 1", status=201)
    client = app_of(app)
    answer = client.send(request)
    assert answer.head.status == 201
    assert answer.head.headers == [("X-B", "1"), ("Content-Length", "2")]
    assert body_of(answer) == b"\xff\0"
    assert answer.complete
    client.release(answer)
    [received] = app.requests
    assert received.head == (
        b"PUT /a%%2Fb?x=1 HTTP/1.1\r\nhost: 127.0.0.1:%d\r\nX-A: 1\r\nx-a: 2\r\ncontent-length: 5\r\n\r\n" % app.port
    )
    assert received.body == b"\0body"


REUSABLE = [
    pytest.param("GET", OK, id="length"),
    pytest.param("GET", response(b""), id="empty"),
    pytest.param(
        "GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nA: b\r\n\r\n", id="chunked"
    ),
    pytest.param("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", id="head"),
    pytest.param("GET", b"HTTP/1.1 204 No Content\r\n\r\n", id="204"),
    pytest.param("GET", b"HTTP/1.1 304 Not Modified\r\n\r\n", id="304"),
    pytest.param("GET", b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK, id="interim"),
]


@pytest.mark.parametrize(("method", "reply"), REUSABLE)
def test_a_connection_is_used_again_after_a_complete_response(
    app: ScriptedApp, app_of: AppOf, method: str, reply: bytes
) -> None:
    app.default = reply
    client = app_of(app)
    for _ in range(3):
        exchange(client, Request(method=method, target="/", headers=[]))
    assert [received.connection for received in app.requests] == [1, 1, 1]


NOT_REUSABLE = [
    pytest.param(response(b"ok", "Connection: close"), id="close"),
    pytest.param(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", id="http-1.0"),
    pytest.param(response(b"ok", status=500), id="500"),
    pytest.param(response(b"ok", status=503), id="503"),
    pytest.param(OK + b"more", id="excess-bytes"),
    pytest.param(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", id="bodiless-that-names-a-body"),
]


@pytest.mark.parametrize("reply", NOT_REUSABLE)
def test_a_connection_that_cannot_carry_another_exchange_is_dropped(
    app: ScriptedApp, app_of: AppOf, reply: bytes
) -> None:
    app.default = reply
    client = app_of(app)
    exchange(client)
    exchange(client)
    assert [received.connection for received in app.requests] == [1, 2]


def test_a_connection_whose_body_was_not_read_is_dropped(app: ScriptedApp, app_of: AppOf) -> None:
    app.replies["/big"] = response(b"x" * 1_000_000)
    client = app_of(app)
    answer = client.send(Request(method="GET", target="/big", headers=[]))
    assert answer.read(1000) is None
    client.release(answer)
    assert exchange(client) == (200, b"ok")
    assert [received.connection for received in app.requests] == [1, 2]


def test_no_connection_is_used_again_where_the_idle_time_is_0(app: ScriptedApp, app_of: AppOf) -> None:
    client = app_of(app, AWS_LWA_POOL_IDLE_TIMEOUT_SECONDS="0")
    exchange(client)
    exchange(client)
    assert [received.connection for received in app.requests] == [1, 2]


def test_a_connection_that_was_idle_for_too_long_is_replaced(
    app: ScriptedApp, app_of: AppOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = app_of(app, AWS_LWA_POOL_IDLE_TIMEOUT_SECONDS="60")
    exchange(client)
    now = monotonic()
    monkeypatch.setattr("adapter.runtime.connection.monotonic", lambda: now + 61)
    answer = client.send(GET)
    assert body_of(answer) == b"ok"
    client.release(answer)
    assert [received.connection for received in app.requests] == [1, 2]


def test_a_connection_that_the_app_closed_is_replaced_before_a_request_goes_out(
    app: ScriptedApp, app_of: AppOf
) -> None:
    def reply_and_hang_up(received: Received) -> None:
        received.send(OK)
        received.hang_up()

    app.default = reply_and_hang_up
    client = app_of(app)
    post = Request(method="POST", target="/", headers=[], body=b"x")
    for _ in range(2):
        assert exchange(client, post) == (200, b"ok")
        has_hung_up(client)
    assert [received.connection for received in app.requests] == [1, 2]


def test_a_dropped_connection_is_not_used_again(app: ScriptedApp, app_of: AppOf) -> None:
    client = app_of(app)
    exchange(client)
    client.close()
    exchange(client)
    assert [received.connection for received in app.requests] == [1, 2]


@pytest.mark.parametrize("first_is_fine", [False, True], ids=["fresh-connection", "used-connection"])
def test_a_request_that_the_app_took_and_did_not_answer_is_never_sent_again(
    app: ScriptedApp, app_of: AppOf, first_is_fine: bool
) -> None:
    def take_and_hang_up(received: Received) -> None:
        received.read_body()
        received.hang_up()

    client = app_of(app)
    if first_is_fine:
        exchange(client)
    app.default = take_and_hang_up
    with pytest.raises(AppUnreachable, match="closed the connection before it answered"):
        client.send(Request(method="POST", target="/pay", headers=[], body=b"once"))
    assert [received.target for received in app.requests if received.method == "POST"] == ["/pay"]


KEPT = 64 * 1024


def closing(app: ScriptedApp, first: bytes = b"", *, resets: bool = False, times: int = 1) -> None:
    """Let ``app`` send ``first`` and close in place of its next answers."""
    left = iter(range(times))

    def reply(received: Received) -> None:
        received.read_body()
        if next(left, None) is None:
            received.send(OK)
            return
        received.send(first)
        received.headers["connection"] = "close"
        if resets:
            received.reset_on_close()
        else:
            received.hang_up()

    app.default = reply


@pytest.mark.parametrize("resets", [False, True], ids=["closes", "resets"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"])
def test_an_idempotent_request_is_sent_once_more_over_a_new_connection(
    app: ScriptedApp, app_of: AppOf, method: str, resets: bool
) -> None:
    client = app_of(app)
    exchange(client)
    closing(app, resets=resets)
    body = b"x" * KEPT if method == "PUT" else b""
    assert exchange(client, Request(method=method, target="/x", headers=[], body=body))[0] == 200
    assert [(received.target, received.connection) for received in app.requests] == [("/", 1), ("/x", 1), ("/x", 2)]
    assert [received.body for received in app.requests[1:]] == [body, body]


def test_a_request_is_repeated_only_once_and_only_after_a_reused_connection(app: ScriptedApp, app_of: AppOf) -> None:
    client = app_of(app)
    exchange(client)
    closing(app, times=3)
    for sent in (3, 4):
        with pytest.raises(AppUnreachable, match="closed the connection before it answered"):
            client.send(GET)
        assert len(app.requests) == sent


@pytest.mark.parametrize(
    ("method", "size"),
    [("POST", 0), ("PATCH", 1), pytest.param("PUT", KEPT + 1, id="PUT-over-64-kb"), ("LOCK", 0)],
)
def test_other_requests_get_a_new_connection_and_are_sent_once(
    app: ScriptedApp, app_of: AppOf, method: str, size: int
) -> None:
    client = app_of(app)
    exchange(client)
    closing(app)
    with pytest.raises(AppUnreachable):
        client.send(Request(method=method, target="/x", headers=[], body=b"x" * size))
    assert [(received.target, received.connection) for received in app.requests] == [("/", 1), ("/x", 2)]


def test_a_connection_that_carried_a_post_is_used_again_by_a_get(app: ScriptedApp, app_of: AppOf) -> None:
    client = app_of(app)
    exchange(client, Request(method="POST", target="/", headers=[], body=b"x"))
    exchange(client)
    assert [received.connection for received in app.requests] == [1, 1]


@pytest.mark.parametrize("first", [b"H", b"HTTP/1.1 103 Early Hints\r\n\r\n"])
@pytest.mark.parametrize("resets", [False, True], ids=["closes", "resets"])
def test_a_request_is_not_repeated_once_a_byte_of_a_response_has_arrived(
    app: ScriptedApp, app_of: AppOf, first: bytes, resets: bool
) -> None:
    client = app_of(app)
    exchange(client)
    closing(app, first, resets=resets)
    with pytest.raises(AppUnreachable):
        client.send(GET)
    # A reset may overtake the byte before it is read; then nothing of a response has arrived.
    assert len(app.requests) == 2 or resets


def test_a_request_is_not_repeated_after_a_timeout(app: ScriptedApp, app_of: AppOf) -> None:
    client = app_of(app)
    exchange(client)
    app.default = Received.wait_for_hang_up
    with pytest.raises(AppTimeout):
        client.send(GET, monotonic() + 0.1)
    assert len(app.requests) == 2


def refusing(**settings: object) -> AppClient:
    """Return the client of an app that does not listen."""
    with ScriptedApp() as gone:
        pass
    return AppClient(load({}), gone.port, **settings)  # type: ignore[arg-type]


def test_an_app_that_refuses_connections_is_waited_for() -> None:
    pauses: list[float] = []
    back: list[ScriptedApp] = []

    def wait(seconds: float) -> bool:
        pauses.append(seconds)
        if len(pauses) == 10:
            back.append(ScriptedApp(port=client.address.current.port))
        return True

    client = refusing(wait_for_restart=wait)
    assert exchange(client, Request(method="POST", target="/x", headers=[], body=b"x")) == (200, b"ok")
    with back[0]:
        client.close()
        assert [received.target for received in back[0].requests] == ["/x"]
    assert pauses == [0.025] * 10


def test_the_wait_ends_if_the_app_will_not_come_back() -> None:
    with pytest.raises(AppUnreachable, match="cannot be reached"):
        refusing(wait_for_restart=lambda seconds: False).send(GET)


@pytest.mark.parametrize(("limit", "waited"), [(None, 5), (1.0, 1), (-1.0, 0)])
def test_the_wait_is_limited_and_the_error_names_it(
    monkeypatch: pytest.MonkeyPatch, limit: float | None, waited: float
) -> None:
    # A clock that only pauses advance, although none is waited for.
    pauses: list[float] = []
    begun = monotonic()
    monkeypatch.setattr("adapter.runtime.app_client.monotonic", lambda: begun + sum(pauses))

    def wait(seconds: float) -> bool:
        pauses.append(seconds)
        return True

    client = refusing(wait_for_restart=wait)
    with pytest.raises(AppUnreachable) as caught:
        client.send(GET, restart_limit=None if limit is None else begun + limit)
    assert sum(pauses) == pytest.approx(waited)
    assert caught.value.waited == pytest.approx(waited)
    assert (f"waited {waited:.1f} s for a restart" in str(caught.value)) is (waited > 0)


def test_an_early_answer_to_a_large_body_is_received(app: ScriptedApp, app_of: AppOf) -> None:
    app.default = lambda received: received.send(response(b"too large", "Connection: close", status=413))
    client = app_of(app)
    request = Request(method="POST", target="/", headers=[("connection", "close")], body=b"x" * 30_000_000)
    assert exchange(client, request) == (413, b"too large")


def test_an_app_that_answers_while_it_reads_gets_the_whole_body(app: ScriptedApp, app_of: AppOf) -> None:
    size = 30_000_000

    def echo(received: Received) -> None:
        received.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(0, size, 100_000):
            received.send(received.read_some(100_000))

    app.default = echo
    body = os.urandom(size)
    client = app_of(app)
    assert exchange(client, Request(method="POST", target="/", headers=[], body=body)) == (200, body)
    app.default = OK
    assert exchange(client) == (200, b"ok")
    assert [received.connection for received in app.requests] == [1, 1]


BROKEN = [
    pytest.param(b"", AppUnreachable, "closed the connection before it answered", id="nothing"),
    pytest.param(b"HTTP/1.1 200 OK\r\nA: b", AppUnreachable, "before it answered", id="half-a-head"),
    pytest.param(b"SSH-2.0\r\n", InvalidAppResponse, "SSH", id="not-http"),
    pytest.param(
        b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        InvalidAppResponse,
        "switched protocols",
        id="101",
    ),
]


@pytest.mark.parametrize(("reply", "error", "message"), BROKEN)
def test_what_is_not_the_beginning_of_a_response_is_an_error(
    app: ScriptedApp, app_of: AppOf, reply: bytes, error: type[Exception], message: str
) -> None:
    def send_and_hang_up(received: Received) -> None:
        received.send(reply)
        received.hang_up()

    app.default = send_and_hang_up
    with pytest.raises(error, match=message):
        app_of(app).send(GET, monotonic() + PATIENCE)


def read_whole(answer: Response) -> None:
    answer.read(1 << 30)


def read_in_pieces(answer: Response) -> None:
    while not answer.complete:
        answer.receive()


@pytest.mark.parametrize("read", [read_whole, read_in_pieces])
@pytest.mark.parametrize("resets", [False, True], ids=["closes", "resets"])
def test_a_response_that_breaks_off_is_truncated(
    app: ScriptedApp, app_of: AppOf, read: Callable[[Response], object], resets: bool
) -> None:
    def break_off(received: Received) -> None:
        received.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nhalf")
        if resets:
            received.reset_on_close()
        else:
            received.hang_up()

    app.default = break_off
    client = app_of(app)
    answer = client.send(Request(method="GET", target="/", headers=[("connection", "close")]))
    with pytest.raises(TruncatedResponse, match=r"connection broke|bytes too early"):
        read(answer)
    client.release(answer)


def test_an_app_that_does_not_answer_before_the_deadline_is_given_up(app: ScriptedApp, app_of: AppOf) -> None:
    app.default = Received.wait_for_hang_up
    with pytest.raises(AppTimeout, match="before the deadline"):
        app_of(app).send(GET, monotonic() - 1)


def test_a_body_that_does_not_come_before_the_deadline_is_given_up(app: ScriptedApp, app_of: AppOf) -> None:
    def begin(received: Received) -> None:
        received.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
        received.wait_for_hang_up()

    app.default = begin
    client = app_of(app)
    answer = client.send(GET, monotonic() + 0.2)
    with pytest.raises(AppTimeout, match="before the deadline"):
        answer.receive()
    client.release(answer)


def test_a_deadline_ends_with_its_exchange(app: ScriptedApp, app_of: AppOf) -> None:
    client = app_of(app)
    exchange(client)
    answer = client.send(GET)
    assert body_of(answer) == b"ok"
    client.release(answer)


def test_an_app_that_is_not_there_is_unreachable(app_of: AppOf) -> None:
    gone = ScriptedApp()
    with gone:
        client = app_of(gone)
    with pytest.raises(AppUnreachable, match=rf"127\.0\.0\.1:{gone.port} or \[::1\]:{gone.port} cannot be reached"):
        client.send(GET)


def test_an_app_behind_a_unix_socket_is_asked_as_localhost(tmp_path: Path, app_of: AppOf) -> None:
    path = str(tmp_path / "app.sock")
    with ScriptedApp(path=path) as app:
        client = app_of(app, ADAPTER_APP_SOCKET=path)
        assert exchange(client) == (200, b"ok")
        client.close()
        assert app.requests[0].headers["host"] == "localhost"


def wait_for(app_port: int, limit: float = PATIENCE, **environ: str) -> None:
    """Wait until the app is ready, without pauses between the probes."""
    check = ReadinessCheck(load(environ), app_port, has_command=False)
    wait_until_ready(check, limit, pause=lambda seconds: None, warn=lambda line: None)


STATUSES = [
    pytest.param({}, 200, True, id="200"),
    pytest.param({}, 404, True, id="404-by-default"),
    pytest.param({}, 100, False, id="no-final-status"),
    pytest.param({}, 500, False, id="500"),
    pytest.param({"AWS_LWA_READINESS_CHECK_HEALTHY_STATUS": "200-299,503"}, 503, True, id="listed"),
    pytest.param({"AWS_LWA_READINESS_CHECK_HEALTHY_STATUS": "200-299,503"}, 404, False, id="not-listed"),
]


@pytest.mark.parametrize(("environ", "status", "ready"), STATUSES)
def test_the_status_decides_over_http(app: ScriptedApp, environ: dict[str, str], status: int, ready: bool) -> None:
    app.default = response(b"", status=status)
    if ready:
        wait_for(app.port, PATIENCE, **environ)
    else:
        reason = "did not answer" if status == 100 else f"GET / answered {status}"
        with pytest.raises(AppNotReady, match=reason):
            wait_for(app.port, 0.1, **environ)


def test_the_probe_requests_the_path_on_the_port_and_closes() -> None:
    with ScriptedApp(records_probes=True) as health, ScriptedApp(records_probes=True) as app:
        wait_for(
            app.port, AWS_LWA_READINESS_CHECK_PORT=str(health.port), AWS_LWA_READINESS_CHECK_PATH="/healthz?full=1"
        )
        assert app.requests == []
        [received] = health.requests
        assert received.head == (
            f"GET /healthz?full=1 HTTP/1.1\r\nhost: 127.0.0.1:{health.port}\r\nconnection: close\r\n\r\n".encode()
        )


def test_a_probe_over_tcp_only_connects() -> None:
    with ScriptedApp(records_probes=True, default=response(b"", status=500)) as app:
        wait_for(app.port, AWS_LWA_READINESS_CHECK_PROTOCOL="tcp")
        assert app.requests == []


def test_a_probe_reaches_an_app_behind_a_unix_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "app.sock")
    with ScriptedApp(path=path):
        wait_for(1, ADAPTER_APP_SOCKET=path)


def test_an_app_that_becomes_ready_later_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as placeholder:
        port = placeholder.getsockname()[1]
    started: list[ScriptedApp] = []
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 1000:
            started.append(ScriptedApp(port=port))

    # A clock that only pauses advance, although none is waited for.
    begun = monotonic()
    monkeypatch.setattr("adapter.runtime.app_client.monotonic", lambda: begun + sum(pauses))
    check = ReadinessCheck(load({}), port, has_command=False)
    wait_until_ready(check, PATIENCE, pause=pause, warn=lambda line: None)
    with started[0]:
        assert (pauses[0], pauses[-1]) == (0.002, 0.05)
        assert pauses == sorted(pauses)
        # Pauses add only a small part to the app's own start, and so does the CPU time of the probes.
        assert all(
            pause <= max(0.002, 0.01 * waited) for pause, waited in zip(pauses[1:], accumulate(pauses), strict=False)
        )
        assert sum(pauses) > 10


def test_an_app_whose_answers_are_wrong_is_probed_less_and_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    def check_process() -> None:
        if len(pauses) == 3:
            raise AppExited("enough", exit_code=1)

    # A clock that advances by a tenth of a second whenever it is read.
    tenths = count(1)
    begun = monotonic()
    monkeypatch.setattr("adapter.runtime.app_client.monotonic", lambda: begun + next(tenths) / 10)
    with ScriptedApp(default=response(b"", status=503)) as app:
        check = ReadinessCheck(load({}), app.port, has_command=False)
        with pytest.raises(AppExited):
            wait_until_ready(check, PATIENCE, pause=pauses.append, warn=lambda line: None, check_process=check_process)
    assert pauses[0] == 0.002
    assert pauses[0] < pauses[1] < pauses[2]


def test_a_long_wait_is_logged_once_with_the_address_and_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapter.app.readiness.WARN_AFTER", 0.0)
    lines: list[str] = []
    check = ReadinessCheck(load({}), 1, has_command=False)
    with pytest.raises(AppNotReady):
        wait_until_ready(check, 0.5, pause=lambda seconds: None, warn=lines.append)
    [line] = lines
    assert line.startswith("the app is not ready after 0 s (the limit is 0.5 s): no connection to 127.0.0.1")
    assert line.endswith("or set its port with --app-port (AWS_LWA_PORT)")


@pytest.mark.parametrize("protocol", ["http", "tcp"])
def test_an_app_that_never_becomes_ready_is_an_error_that_names_the_way_out(protocol: str) -> None:
    with pytest.raises(AppNotReady) as caught:
        wait_for(1, 0.05, AWS_LWA_READINESS_CHECK_PROTOCOL=protocol)
    message = str(caught.value)
    assert message.startswith("the app was not ready after 0.05 s: no connection to 127.0.0.1:1 or [::1]:1 (")
    assert "refused" in message
    assert "The app must listen on 127.0.0.1:1" in message
    assert "AWS_LWA_PORT" in message


def test_an_app_that_accepts_and_does_not_answer_does_not_prolong_the_wait(app: ScriptedApp) -> None:
    app.default = Received.wait_for_hang_up
    start = monotonic()
    with pytest.raises(AppNotReady, match="did not answer within"):
        wait_for(app.port, 0.2)
    assert monotonic() - start < 2


def test_what_answers_without_http_is_not_ready(app: ScriptedApp) -> None:
    app.default = b"+PONG\r\n"
    with pytest.raises(AppNotReady, match="did not answer with HTTP"):
        wait_for(app.port, 0.05)


def test_waiting_ends_at_once_when_the_app_ends() -> None:
    checks: list[int] = []

    def check_process() -> None:
        checks.append(1)
        if len(checks) == 3:
            raise AppExited("it ended", exit_code=3)

    check = ReadinessCheck(load({}), 1, has_command=False)
    with pytest.raises(AppExited, match="it ended"):
        wait_until_ready(
            check, PATIENCE, pause=lambda seconds: None, warn=lambda line: None, check_process=check_process
        )
    assert len(checks) == 3


def test_a_hook_is_an_empty_post(app: ScriptedApp, app_of: AppOf) -> None:
    app.default = response(b"", status=204)
    call_hook(app_of(app), "/before", PATIENCE)
    [received] = app.requests
    assert received.head == (
        b"POST /before HTTP/1.1\r\nhost: 127.0.0.1:%d\r\nconnection: close\r\ncontent-length: 0\r\n\r\n" % app.port
    )


@pytest.mark.parametrize("status", [199, 300, 404, 500])
def test_a_hook_that_is_not_answered_2xx_has_failed(app: ScriptedApp, app_of: AppOf, status: int) -> None:
    app.default = response(b"", status=status)
    with pytest.raises(HookFailed, match="POST /before failed"):
        call_hook(app_of(app), "/before", PATIENCE)


def test_a_hook_that_is_not_answered_in_time_has_failed(app: ScriptedApp, app_of: AppOf) -> None:
    app.default = lambda received: None
    with pytest.raises(HookFailed, match="POST /before failed"):
        call_hook(app_of(app), "/before", 0.05)
