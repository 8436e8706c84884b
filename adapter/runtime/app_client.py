"""The client of the app: one exchange at a time, and the readiness probe.

A connection is reused only if its last request is recent and the app has not closed it. The app may still close it
while the next request is on the way. So only requests that may be executed twice (``is_repeatable``) are sent over a
reused connection. If that connection closes before the first byte of a response, the request is sent again, over a new
one.

If the app refuses a connection, it may be restarting. No part of the request was sent yet, so the request can wait.
"""

from __future__ import annotations

from time import monotonic

from adapter.app.readiness import RESTART_INTERVAL, RESTART_WAIT, ReadinessWait, is_refused
from adapter.config.ports import app_address
from adapter.errors import (
    AppTimeout,
    AppUnreachable,
    HookFailed,
    InvalidAppResponse,
    InvocationError,
    TruncatedResponse,
)
from adapter.net.http1 import ResponseReader, encode_request_head, is_repeatable
from adapter.payload.messages import Request
from adapter.runtime.connection import Connection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from adapter.app.readiness import ReadinessCheck
    from adapter.config.load import Config
    from adapter.net.address import Address, AppAddress
    from adapter.runtime.connection import Piece, Response


class AppClient:
    """Sends requests to the app: over the Unix socket if ``config`` names one, else to ``port``.

    Each slot has an AppClient of its own. ``connect`` creates the client's connections. ``wait_for_restart(seconds)``
    pauses for that time, and returns False if the app will not listen again.
    """

    def __init__(
        self,
        config: Config,
        port: int,
        *,
        connect: Callable[[Address], Connection] = Connection,
        wait_for_restart: Callable[[float], bool] = lambda seconds: False,
    ) -> None:
        self.address = app_address(config, port, config.app_socket)
        self._host_header = self.address.host_header
        self._connect = connect
        self._wait_for_restart = wait_for_restart
        self._idle_timeout = config.app_idle_timeout
        self._idle: Connection | None = None

    def follow(self, address: AppAddress) -> None:
        """Send all later requests to ``address``, because the app listens there."""
        self.address, self._host_header = address, address.host_header

    def send(self, request: Request, deadline: float | None = None, *, restart_limit: float | None = None) -> Response:
        """Send ``request`` and wait for the response head. After use, pass the response to ``release``.

        ``deadline`` and ``restart_limit`` are times of the monotonic clock. If the app refuses connections, try again
        until ``restart_limit``, but for at most RESTART_WAIT seconds. Raises AppTimeout after ``deadline``,
        AppUnreachable if the app accepts no connection or closes it without an answer, and InvalidAppResponse if the
        answer is malformed or switches protocols.
        """
        head = encode_request_head(request, self._host_header)
        parts: tuple[Piece, ...] = (head, request.body) if request.body else (head,)
        response = None
        idle = self._take_idle()
        if idle is not None:
            if is_repeatable(request.method, len(request.body)) and idle.is_usable(self._idle_timeout):
                response = self._exchange(idle, request.method, parts, deadline, is_reused=True)
            else:
                # Close it before opening another one: some servers accept only one connection at a time.
                idle.close()
        if response is None:
            connection = self._open(restart_limit)
            response = self._exchange(connection, request.method, parts, deadline, is_reused=False)
            assert response is not None, "only a reused connection may end without a response"
        if response.head.status == 101:
            response.connection.close()
            raise InvalidAppResponse("the app switched protocols, which is not possible in an invocation")
        return response

    def release(self, response: Response) -> None:
        """Keep the connection of ``response`` for the next request, or close it if it cannot be reused."""
        connection = response.connection
        if self._idle_timeout > 0 and response.has_reusable_connection:
            connection.deadline = None
            self._idle = connection
        else:
            connection.close()

    def close(self) -> None:
        """Close the idle connection; the next request opens a new one."""
        idle = self._take_idle()
        if idle is not None:
            idle.close()

    def _take_idle(self) -> Connection | None:
        idle, self._idle = self._idle, None
        return idle

    def _exchange(
        self,
        connection: Connection,
        method: str,
        parts: tuple[Piece, ...],
        deadline: float | None,
        *,
        is_reused: bool,
    ) -> Response | None:
        """Send ``parts`` over ``connection`` and return the response.

        Return None if a reused connection is closed before any byte of a response arrives. Raises as ``send`` does.
        """
        connection.deadline = deadline
        reader = ResponseReader(method)
        try:
            # An app may answer before it has read everything (413, for example). Its answer is still received.
            connection.send(parts)
            return connection.receive_head(reader)
        except (OSError, TruncatedResponse) as error:
            connection.close()
            if is_reused and not reader.has_begun and isinstance(error, (ConnectionError, TruncatedResponse)):
                return None
            address = self.address.current
            raise AppUnreachable(f"the app at {address} closed the connection before it answered") from error
        except Exception:
            connection.close()
            raise

    def _open(self, restart_limit: float | None) -> Connection:
        """Return a new connection. If the app refuses it, wait until the app listens again, or until ``restart_limit``.

        Raises AppUnreachable if no connection could be opened.
        """
        began = monotonic()
        give_up = began + RESTART_WAIT if restart_limit is None else min(began + RESTART_WAIT, restart_limit)
        while True:
            try:
                return self.address.connect(self._connect)
            except OSError as error:
                seconds = min(RESTART_INTERVAL, give_up - monotonic())
                if seconds > 0 and is_refused(error) and self._wait_for_restart(seconds):
                    continue
                waited = monotonic() - began
                wait = f"; waited {waited:.1f} s for a restart" if waited >= RESTART_INTERVAL else ""
                raise AppUnreachable(
                    f"the app at {self.address} cannot be reached: {error}{wait}", waited=waited
                ) from error


def wait_until_ready(
    check: ReadinessCheck,
    limit: float,
    *,
    pause: Callable[[float], object],
    warn: Callable[[str], object],
    check_process: Callable[[], object] | None = None,
    connect: Callable[[Address], Connection] = Connection,
) -> None:
    """Probe the app until it is ready. Raises AppNotReady after ``limit`` seconds.

    ``pause(seconds)`` waits between two probes, and may return early. ``warn`` logs a line.
    ``check_process`` is called after each failed probe, and raises an error if the app has ended.
    """
    wait = ReadinessWait(check, limit, monotonic())
    while (problem := _probe(check, wait, connect) or check.foreign_answer()) is not None:
        if check_process is not None:
            check_process()
        seconds = wait.end_probe(problem, monotonic())
        if wait.warning:
            warn(wait.warning)
        pause(seconds)


def _probe(check: ReadinessCheck, wait: ReadinessWait, connect: Callable[[Address], Connection]) -> str | None:
    """Probe the app once. Return None if it is ready, else the problem."""
    timeout = wait.begin_probe(monotonic())
    try:
        connection = check.address.connect(connect) if wait.tries_other else connect(check.address.current)
    except OSError as error:
        return check.no_connection(error)
    try:
        if check.request is None:
            return None
        connection.deadline = monotonic() + timeout
        connection.send((encode_request_head(check.request, check.address.host_header),))
        return check.problem_of(connection.receive_response(check.request.method).head.status)
    except (OSError, InvalidAppResponse, TruncatedResponse) as error:
        return check.no_response(error)
    except AppTimeout:
        return check.no_answer(timeout)
    finally:
        connection.close()


def call_hook(app: AppClient, path: str, timeout: float) -> None:
    """POST to ``path``, a SnapStart hook of the app.

    Raises HookFailed if the app does not answer with a 2xx status within ``timeout`` seconds.
    """
    request = Request(method="POST", target=path, headers=[("connection", "close")])
    try:
        response = app.send(request, monotonic() + timeout)
    except InvocationError as error:
        raise HookFailed(f"the app's SnapStart hook POST {path} failed: {error}") from error
    app.release(response)
    if not 200 <= response.head.status < 300:
        raise HookFailed(f"the app's SnapStart hook POST {path} failed: status {response.head.status}")
