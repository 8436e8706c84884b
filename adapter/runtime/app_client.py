"""The client of the app: one exchange at a time, and the readiness probe.

A connection is reused only if its last request is recent and the app has not closed it. Otherwise the app might close
it while the next request is on the way. A request is sent again only if no byte of it was sent before, so that the app
never executes a request twice.
"""

from __future__ import annotations

from time import monotonic

from adapter.app.readiness import ReadinessWait
from adapter.config.ports import app_address
from adapter.errors import (
    AppTimeout,
    AppUnreachable,
    HookFailed,
    InvalidAppResponse,
    InvocationError,
    TruncatedResponse,
)
from adapter.net.http1 import encode_request_head
from adapter.payload.messages import Request
from adapter.runtime.connection import Connection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from adapter.app.readiness import ReadinessCheck
    from adapter.config.load import Config
    from adapter.net.address import Address
    from adapter.runtime.connection import Response


class AppClient:
    """Sends requests to the app: over the Unix socket if ``config`` names one, else to ``port``.

    Each slot has an AppClient of its own. ``connect`` creates the client's connections.
    """

    def __init__(self, config: Config, port: int, *, connect: Callable[[Address], Connection] = Connection) -> None:
        self.address = app_address(config, port, config.app_socket)
        self._host_header = self.address.host_header
        self._connect = connect
        self._idle_timeout = config.app_idle_timeout
        self._idle: Connection | None = None

    def send(self, request: Request, deadline: float | None = None) -> Response:
        """Send ``request`` and wait for the response head. ``deadline`` is a time of the monotonic clock.

        Pass the response to ``release`` afterwards. Raises AppUnreachable, InvalidAppResponse, AppTimeout.
        """
        head = encode_request_head(request, self._host_header)
        parts = (head, request.body) if request.body else (head,)
        connection = self._send(parts, deadline)
        try:
            response = connection.receive_response(request.method)
        except (OSError, TruncatedResponse) as error:
            connection.close()
            address = self.address.current
            raise AppUnreachable(f"the app at {address} closed the connection before it answered") from error
        except Exception:
            connection.close()
            raise
        if response.head.status == 101:
            connection.close()
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
        if self._idle is not None:
            self._idle.close()
            self._idle = None

    def _send(self, parts: tuple[bytes | bytearray, ...], deadline: float | None) -> Connection:
        """Send ``parts`` over the idle connection or a new one, and return it. Raises AppUnreachable, AppTimeout."""
        idle, self._idle = self._idle, None
        if idle is not None:
            if idle.is_usable(self._idle_timeout):
                try:
                    return _send_over(idle, parts, deadline)
                except OSError:
                    pass  # Nothing of this request was sent over the closed connection: use a new one.
            else:
                idle.close()
        try:
            return _send_over(self.address.connect(self._connect), parts, deadline)
        except OSError as error:
            raise AppUnreachable(f"the app at {self.address} cannot be reached: {error}") from error


def _send_over(connection: Connection, parts: tuple[bytes | bytearray, ...], deadline: float | None) -> Connection:
    """Send ``parts`` and return ``connection``. If that fails, close it and raise OSError or AppTimeout."""
    connection.deadline = deadline
    try:
        # An app may answer before it has read everything (413, for example). Its answer is still received.
        connection.send(parts)
    except (OSError, AppTimeout):
        connection.close()
        raise
    return connection


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

    ``pause(seconds)`` waits between two probes, and may return early. ``warn`` logs a line, at most once.
    ``check_process`` is called after each failed probe, and raises an error if the app has ended.
    """
    wait = ReadinessWait(check, limit, monotonic())
    while (problem := _probe(check, wait, connect)) is not None:
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
    """POST to a SnapStart hook of the app. Raises HookFailed unless it answers 2xx within ``timeout`` seconds."""
    request = Request(method="POST", target=path, headers=[("connection", "close")])
    try:
        response = app.send(request, monotonic() + timeout)
    except InvocationError as error:
        raise HookFailed(f"the app's SnapStart hook POST {path} failed: {error}") from error
    app.release(response)
    if not 200 <= response.head.status < 300:
        raise HookFailed(f"the app's SnapStart hook POST {path} failed: {response.head.status}")
