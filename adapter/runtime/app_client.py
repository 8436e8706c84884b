"""The app as the upstream: whether it is ready, and one exchange with it at a time.

A connection is used again only when it was idle for a moment and the app has not closed it, so that no request meets
the close. A request is sent a second time only when not one byte of it was taken, so that none is executed twice.
"""

from __future__ import annotations

from time import monotonic

from adapter.config.ports import WARN_AFTER, slow_start_line, unhealthy_text, unready_text
from adapter.errors import (
    AppNotReady,
    AppTimeout,
    AppUnreachable,
    HookFailed,
    InvalidAppResponse,
    TruncatedResponse,
)
from adapter.net.address import Address
from adapter.net.http1 import ResponseReader, encode_request_head
from adapter.payload.messages import Request
from adapter.runtime.connection import Connection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from adapter.config.load import Config
    from adapter.payload.messages import ResponseHead

# How long to pause between two probes, in seconds: that part of the time since the first one, within two bounds. Half a
# pause is lost when the app is ready, 1 ms or a quarter of a per cent of its start. A probe that is refused takes about
# 0.02 ms of CPU time, which a starting app lacks on a small function: at most a per cent of it.
_PROBE_PAUSE_PART, _SHORTEST_PROBE_PAUSE, _LONGEST_PROBE_PAUSE = 1 / 200, 0.002, 0.05
# An app that answers, and is not healthy yet, works for each answer: so many times as long as that took is the pause.
_PAUSE_FOR_ANSWER = 20
# How long one probe may take, in seconds.
_PROBE_TIMEOUT = 10.0
# How long a SnapStart hook may take, in seconds (Lambda's own bound for them).
_HOOK_TIMEOUT = 10.0


class AppResponse:
    """A response that has begun: its head, the body pieces that came with it, and the connection that brings more.

    ``pieces`` are valid until the next ``receive``. Call ``close`` or read to the end.
    """

    __slots__ = ("_app", "_connection", "_reader", "head", "pieces")

    def __init__(self, app: App, connection: Connection, reader: ResponseReader, pieces: list[memoryview]) -> None:
        assert reader.head is not None
        self._app = app
        self._connection = connection
        self._reader = reader
        self.head: ResponseHead = reader.head
        self.pieces = pieces

    @property
    def complete(self) -> bool:
        """Whether the whole body was received."""
        return self._reader.complete

    def receive(self) -> list[memoryview]:
        """The next pieces of the body, as they arrive; perhaps none.

        Raises TruncatedResponse, InvalidAppResponse, AppTimeout.
        """
        try:
            return self._connection.receive(self._reader)
        except OSError as error:
            raise TruncatedResponse(f"the app broke off its response: {error}") from error

    def read(self, limit: int | None) -> bytearray | None:
        """The whole body; None as soon as it is known to be longer than ``limit``. Raises as ``receive`` does."""
        try:
            return self._connection.receive_body(self._reader, self.pieces, limit)
        except OSError as error:
            raise TruncatedResponse(f"the app broke off its response: {error}") from error

    def close(self) -> None:
        """Give the connection back, or drop it where it cannot carry another exchange."""
        self._app.release(self._connection, reusable=self._reader.complete and self._reader.reusable)


class App:
    """The app at ``config``'s address, ``port`` if it is TCP. One instance for each invocation slot.

    ``connect`` makes its connections.
    """

    def __init__(self, config: Config, port: int, *, connect: Callable[[Address], Connection] = Connection) -> None:
        self.address = Address(host=config.app_host, port=port, path=config.app_socket)
        self._connect = connect
        self._idle_timeout = config.app_idle_timeout
        self._connection: Connection | None = None

    def send(self, request: Request, deadline: float | None = None) -> AppResponse:
        """Send ``request`` and wait for the response head. ``deadline`` is a time of the monotonic clock.

        Raises AppUnreachable, InvalidAppResponse, AppTimeout.
        """
        head = encode_request_head(request, self.address.host_header)
        parts = (head, request.body) if request.body else (head,)
        connection = self._send(parts, deadline)
        try:
            reader = ResponseReader(request.method)
            pieces = connection.receive_head(reader)
        except (OSError, TruncatedResponse) as error:
            connection.close()
            raise AppUnreachable(f"the app at {self.address} closed the connection before it answered") from error
        except Exception:
            connection.close()
            raise
        if reader.head is not None and reader.head.status == 101:
            connection.close()
            raise InvalidAppResponse("the app switched protocols, which an invocation cannot")
        return AppResponse(self, connection, reader, pieces)

    def release(self, connection: Connection, *, reusable: bool) -> None:
        """Keep ``connection`` for the next request, or close it."""
        if reusable and connection.is_whole and self._idle_timeout > 0:
            connection.begin_idle()
            self._connection = connection
        else:
            connection.close()

    def drop_connection(self) -> None:
        """Forget the idle connection: after a restore the peer knows nothing of it."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _send(self, parts: tuple[bytes | bytearray, ...], deadline: float | None) -> Connection:
        connection = self._take_idle()
        if connection is not None:
            try:
                return _send_over(connection, parts, deadline)
            except OSError:
                pass  # The app had closed and has seen none of this request: a fresh connection can carry it.
        try:
            return _send_over(self._connect(self.address), parts, deadline)
        except OSError as error:
            raise AppUnreachable(f"the app at {self.address} cannot be reached: {error}") from error

    def _take_idle(self) -> Connection | None:
        connection, self._connection = self._connection, None
        if connection is not None and not connection.is_usable(self._idle_timeout):
            connection.close()
            return None
        return connection


def _send_over(connection: Connection, parts: tuple[bytes | bytearray, ...], deadline: float | None) -> Connection:
    """``connection`` with ``parts`` on their way; closed where that fails."""
    connection.deadline = deadline
    try:
        # An app that answers before it has read everything (413, say) is heard all the same.
        connection.send(parts)
    except (OSError, AppTimeout):
        connection.close()
        raise
    return connection


class Readiness:
    """Waits for the app to become ready.

    ``check_app`` raises when there is no more point in waiting (the app has ended); ``wait(seconds)`` pauses, and
    returns early when the app ends. ``connect`` makes the connections. ``warn`` is given one line if it takes long.
    ``has_command``: the app is one that CMD has started.
    """

    def __init__(
        self,
        config: Config,
        port: int,
        *,
        check_app: Callable[[], None],
        wait: Callable[[float], None],
        connect: Callable[[Address], Connection] = Connection,
        warn: Callable[[str], None] | None = None,
        has_command: bool = False,
    ) -> None:
        on_app_port = config.readiness_port is None
        self._address = Address(
            host=config.app_host,
            port=port if config.readiness_port is None else config.readiness_port,
            path=config.app_socket if on_app_port else None,
        )
        self._probe = self._probe_tcp if config.readiness_protocol == "tcp" else self._probe_http
        self._path = config.readiness_path
        self._healthy = config.readiness_status
        self._connect = connect
        self._check_app = check_app
        self._wait = wait
        self._warn = warn
        self._has_command = has_command

    def wait_until_ready(self, timeout: float) -> None:
        """Return once the app is ready; raises AppNotReady after ``timeout`` seconds, and what ``check_app`` raises."""
        begun = asked = monotonic()
        give_up = begun + timeout
        unready = ""
        while (failure := self._probe(min(_PROBE_TIMEOUT, max(0.01, give_up - asked)))) is not None:
            self._check_app()
            answered = monotonic()
            waited = answered - begun
            pause = _probe_pause(waited, answered - asked)
            # The last probe is cut short by the end of the wait: what a whole one said before tells more.
            if not unready or waited < timeout:
                unready = failure
            if waited + pause >= timeout:
                reason = unready_text(unready, self._address, has_command=self._has_command)
                raise AppNotReady(f"the app was not ready after {timeout:g} s: {reason}")
            if self._warn is not None and waited >= WARN_AFTER:
                line = slow_start_line(WARN_AFTER, timeout, unready, self._address, has_command=self._has_command)
                self._warn(line)
                self._warn = None
            self._wait(pause)
            asked = monotonic()

    def _probe_tcp(self, timeout: float) -> str | None:
        """None when a connection succeeds, else why not."""
        try:
            self._connect(self._address).close()
        except OSError as error:
            return f"no connection to {self._address} ({error})"
        return None

    def _probe_http(self, timeout: float) -> str | None:
        """None when a GET is answered with a healthy status, else what came instead."""
        request = Request(method="GET", target=self._path, headers=[("connection", "close")])
        status = _ask(self._address, request, timeout, self._connect)
        if isinstance(status, str):
            return status
        return None if status in self._healthy else unhealthy_text(self._path, status)


def _probe_pause(waited: float, answer_took: float) -> float:
    """How long to pause after a probe that took ``answer_took`` seconds, ``waited`` seconds after the first began."""
    pause = max(waited * _PROBE_PAUSE_PART, answer_took * _PAUSE_FOR_ANSWER, _SHORTEST_PROBE_PAUSE)
    return min(pause, _LONGEST_PROBE_PAUSE)


def call_hook(app: App, path: str) -> None:
    """POST to a SnapStart hook of the app. Raises HookFailed unless it answers 2xx within its time."""
    request = Request(method="POST", target=path, headers=[("connection", "close")])
    status = _ask(app.address, request, _HOOK_TIMEOUT, Connection)
    if isinstance(status, str) or not 200 <= status < 300:
        raise HookFailed(f"the app's SnapStart hook POST {path} failed: {status}")


def _ask(address: Address, request: Request, timeout: float, connect: Callable[[Address], Connection]) -> int | str:
    """The status that the server answers ``request`` with, or a text that says why there is none."""
    try:
        connection = connect(address)
    except OSError as error:
        return f"no connection to {address} ({error})"
    try:
        connection.deadline = monotonic() + timeout
        connection.send((encode_request_head(request, address.host_header),))
        reader = ResponseReader(request.method)
        connection.receive_head(reader)
    except (OSError, InvalidAppResponse, TruncatedResponse) as error:
        return f"{address} did not answer as HTTP ({error})"
    except AppTimeout:
        return f"{address} did not answer within {timeout:g} s"
    finally:
        connection.close()
    assert reader.head is not None
    return reader.head.status
