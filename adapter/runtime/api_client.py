"""The client of Lambda's Runtime API (2018-06-01).

Each invocation that ``next`` returns must be ended once: with ``send_response``, ``send_error``, or a
``ResponseStream``.

In this module, a refusal is a string: the status and the body of the answer with which Lambda refused a request. The
string is empty if Lambda accepted the request.
"""

from __future__ import annotations

import orjson

from adapter.errors import AdapterError, InvocationError, ResponseTooLarge, RuntimeApiError
from adapter.numbers import LARGEST_IN_JSON, whole_number
from adapter.payload.headers import first
from adapter.payload.messages import Invocation
from adapter.runtime.connection import Connection, size_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Final

    from adapter.net.address import Address
    from adapter.payload.messages import ResponseHead
    from adapter.runtime.connection import Piece, Response

_RUNTIME: Final = "/2018-06-01/runtime"

_ERROR_TYPE_TRAILER: Final = "Lambda-Runtime-Function-Error-Type"
_ERROR_BODY_TRAILER: Final = "Lambda-Runtime-Function-Error-Body"

# The largest answer that is read, in bytes. The largest event of Lambda has 6 MB.
ANSWER_LIMIT: Final = 64 * 1024 * 1024
# The number of bytes of Lambda's answer that a refusal quotes at most.
_QUOTED: Final = 500
# Delays before /next is called again after a failed attempt, in seconds. None means that the runtime gives up.
_NEXT_BACKOFF: tuple[float | None, ...] = (0.01, 0.05, 0.2, 0.5, 1.0, None)


class RuntimeApiClient:
    """Calls the Runtime API at ``address`` over one connection. Each slot has its own client.

    ``wake_up`` is a descriptor or None. If it becomes readable while the client is waiting for an invocation, the
    client calls the function ``should_stop`` that was passed to ``next``. ``connect`` creates the connection.
    """

    def __init__(
        self, address: Address, *, wake_up: int | None = None, connect: Callable[[Address], Connection] = Connection
    ) -> None:
        self._address = address
        self._connect = connect
        self.host_line = f"Host: {address.host_header}\r\n".encode()
        self._next_request = b"GET " + _RUNTIME.encode() + b"/invocation/next HTTP/1.1\r\n" + self.host_line + b"\r\n"
        self._wake_up = wake_up
        self._connection: Connection | None = None

    def close(self) -> None:
        """Close the connection; the next request opens a new one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def next(self, *, should_stop: Callable[[], bool], pause: Callable[[float], object]) -> Invocation | None:
        """Wait for an invocation, without a time limit, and return it. Return None if ``should_stop()`` returns True.

        ``should_stop`` is called after each wake-up and each failed attempt. ``pause(seconds)`` waits between two
        attempts. Raises RuntimeApiError if all attempts fail.
        """
        for delay in _NEXT_BACKOFF:
            try:
                answer = self._get(self._next_request, should_stop)
                if answer is None:
                    return None
                head, event = answer
                return _invocation(head, event)
            except (OSError, InvocationError, RuntimeApiError) as error:
                self.close()
                if should_stop():
                    return None
                if delay is None:
                    raise RuntimeApiError(f"the Runtime API at {self._address} sent no invocation: {error}") from error
                pause(delay)
        raise AssertionError("the last attempt returns or raises")

    def _get(self, request: bytes, should_stop: Callable[[], bool]) -> tuple[ResponseHead, bytearray] | None:
        """Send a GET whose answer may take hours, and return the answer.

        Whenever the descriptor ``self._wake_up`` becomes readable, call ``should_stop()``, and return None if it
        returns True. Raises RuntimeApiError if the status is not 200.
        """
        # To save time, this does not check whether the connection is open. If it is closed, ``next`` tries again.
        connection = self._connection or self.connect()
        connection.send((request,))
        # An invocation that has arrived must be answered, even if the app has ended.
        if self._wake_up is not None and not connection.wait_for_response(self._wake_up, should_stop):
            self.close()
            return None
        response = connection.receive_response("GET")
        body = response.read(ANSWER_LIMIT)
        if body is None:
            raise RuntimeApiError(f"the answer has more than {ANSWER_LIMIT} bytes")
        if not response.has_reusable_connection:
            self.close()
        if response.head.status != 200:
            raise RuntimeApiError(_refusal(response.head, body))
        return response.head, body

    def send_response(
        self, invocation: Invocation, parts: Sequence[bytes], content_type: str, extra_line: str = ""
    ) -> str:
        """Send a whole payload as the response. Return Lambda's refusal, or an empty string.

        If the payload is too large, Lambda refuses it with 413. ``extra_line`` is empty, or a further header line that
        ends with CR LF.
        """
        path = f"{_RUNTIME}/invocation/{invocation.request_id}/response"
        return self._post(path, parts, f"Content-Type: {content_type}\r\n{extra_line}")

    def open_stream(self, invocation: Invocation, content_type: str, extra_line: str = "") -> ResponseStream:
        """Return a stream for a streamed response. Nothing is sent before the first write."""
        return ResponseStream(self, invocation, content_type, extra_line)

    def send_error(self, invocation: Invocation, error: AdapterError) -> str:
        """End the invocation with ``error``. Return Lambda's refusal, or an empty string."""
        return self._post_error(f"/invocation/{invocation.request_id}/error", error)

    def send_init_error(self, error: AdapterError) -> None:
        """Report that the init phase failed with ``error``. The process must end after that.

        Raises RuntimeApiError if no answer arrives.
        """
        self._post_error("/init/error", error)

    def restore_next(self, should_stop: Callable[[], bool]) -> None:
        """Report that Lambda can take the snapshot. Return after a restore, or if ``should_stop()`` returns True.

        Raises RuntimeApiError if the Runtime API does not answer, or answers with an error.
        """
        try:
            self._get(f"GET {_RUNTIME}/restore/next HTTP/1.1\r\n".encode() + self.host_line + b"\r\n", should_stop)
        except (OSError, InvocationError, RuntimeApiError) as error:
            if should_stop():
                return
            raise RuntimeApiError(f"the Runtime API at {self._address} did not report the restore: {error}") from error
        finally:
            self.close()

    def send_restore_error(self, error: AdapterError) -> None:
        """Report that the restore failed with ``error``. The process must end after that.

        Raises RuntimeApiError if no answer arrives.
        """
        self._post_error("/restore/error", error)

    def _post_error(self, resource: str, error: AdapterError) -> str:
        headers = f"Content-Type: application/json\r\n{_ERROR_TYPE_TRAILER}: {error.lambda_type}\r\n"
        return self._post(_RUNTIME + resource, (_error_body(error),), headers)

    def _post(self, path: str, parts: Sequence[bytes], headers: str) -> str:
        """POST ``parts``. Return Lambda's refusal, or an empty string. Raises RuntimeApiError if no answer arrives."""
        length = size_of(parts)
        head = f"POST {path} HTTP/1.1\r\n{headers}Content-Length: {length}\r\n".encode() + self.host_line + b"\r\n"
        try:
            connection = self.connect()
            connection.send((head, *parts))
            response = connection.receive_response("POST")
            problem = _problem_of(response)
        except (OSError, InvocationError) as error:
            self.close()
            raise RuntimeApiError(f"POST {path} to the Runtime API at {self._address} failed: {error}") from error
        if not response.has_reusable_connection:
            self.close()
        return problem

    def connect(self) -> Connection:
        """Return the connection; open a new one if it is closed. Raises OSError."""
        if self._connection is not None and not self._connection.is_open():
            self.close()
        if self._connection is None:
            self._connection = self._connect(self._address)
        return self._connection


class ResponseStream:
    """A streamed response. Call ``write`` any number of times, then ``finish`` or ``fail`` once.

    The request head is sent with the first write. The head declares the error trailers, since undeclared trailers are
    lost.
    """

    def __init__(self, api: RuntimeApiClient, invocation: Invocation, content_type: str, extra_line: str = "") -> None:
        self._api = api
        self._connection: Connection | None = None
        # AWS, "Building a custom runtime": the connection is closed after a streamed response.
        self._head = (
            f"POST {_RUNTIME}/invocation/{invocation.request_id}/response HTTP/1.1\r\n"
            "Lambda-Runtime-Function-Response-Mode: streaming\r\n"
            f"Content-Type: {content_type}\r\n{extra_line}"
            "Transfer-Encoding: chunked\r\n"
            f"Trailer: {_ERROR_TYPE_TRAILER}, {_ERROR_BODY_TRAILER}\r\n"
            "Connection: close\r\n"
        ).encode() + api.host_line
        self._refused = False
        #: The number of payload bytes that were passed to ``write`` and ``finish`` so far.
        self.bytes = 0

    @property
    def begun(self) -> bool:
        """Whether anything was sent."""
        return self._connection is not None

    def write(self, pieces: Sequence[Piece]) -> bool:
        """Send ``pieces`` as one chunk. Return False if Lambda does not accept more data.

        Raises RuntimeApiError if the connection breaks.
        """
        return self._send(self._chunk(pieces))

    def finish(self, pieces: Sequence[Piece]) -> str:
        """Send the final ``pieces`` and end the response. Return Lambda's refusal, or an empty string."""
        return self._end([*self._chunk(pieces), b"0\r\n\r\n"])

    def fail(self, error: AdapterError) -> str:
        """End an incomplete response with ``error`` in its trailers. Return Lambda's refusal, or an empty string."""
        import pybase64  # few streams fail

        trailers = (
            f"0\r\n{_ERROR_TYPE_TRAILER}: {error.lambda_type}\r\n"
            f"{_ERROR_BODY_TRAILER}: {pybase64.b64encode(_error_body(error)).decode()}\r\n\r\n"
        )
        return self._end([trailers.encode()])

    def _chunk(self, pieces: Sequence[Piece]) -> list[Piece]:
        """Return ``pieces`` as one chunk, or an empty list if they are empty: an empty chunk would end the body."""
        size = size_of(pieces)
        self.bytes += size
        return [b"%x\r\n" % size, *pieces, b"\r\n"] if size else []

    def _send(self, parts: list[Piece]) -> bool:
        if self._refused:
            return False
        try:
            if self._connection is None:
                self._connection = self._api.connect()
                parts = [self._head, b"\r\n", *parts]
            self._refused = not self._connection.send(parts)
        except (BrokenPipeError, ConnectionResetError):
            # ``_end`` reads the answer that Lambda sent before it disconnected.
            self._refused = True
        except OSError as error:
            self._api.close()
            raise RuntimeApiError(f"the connection to the Runtime API broke while streaming: {error}") from error
        return not self._refused

    def _end(self, parts: list[Piece]) -> str:
        self._send(parts)
        assert self._connection is not None
        try:
            return _problem_of(self._connection.receive_response("POST"))
        except (OSError, InvocationError) as error:
            raise RuntimeApiError(f"the Runtime API did not acknowledge a streamed response: {error}") from error
        finally:
            self._api.close()


def _invocation(head: ResponseHead, event: bytearray) -> Invocation:
    headers = head.headers
    request_id = first(headers, "lambda-runtime-aws-request-id")
    if not request_id:
        raise RuntimeApiError("the answer has no header 'lambda-runtime-aws-request-id'")
    return Invocation(
        request_id=request_id,
        event=event,
        deadline_ms=whole_number(first(headers, "lambda-runtime-deadline-ms"), LARGEST_IN_JSON) or 0,
        trace_id=first(headers, "lambda-runtime-trace-id"),
        invoked_function_arn=first(headers, "lambda-runtime-invoked-function-arn"),
        client_context=first(headers, "lambda-runtime-client-context"),
        cognito_identity=first(headers, "lambda-runtime-cognito-identity"),
        tenant_id=first(headers, "lambda-runtime-aws-tenant-id"),
    )


def _problem_of(response: Response) -> str:
    """Read the rest of ``response``, Lambda's answer to a POST. Return the refusal, or an empty string."""
    is_accepted = response.head.status < 300
    if is_accepted and response.complete:
        return ""
    body = response.read(ANSWER_LIMIT) or bytearray()
    return "" if is_accepted else _refusal(response.head, body)


def _refusal(head: ResponseHead, body: bytearray) -> str:
    return f"status {head.status}: {body[:_QUOTED].decode('utf-8', 'replace')}"


def _error_body(error: AdapterError) -> bytes:
    message = str(error).encode("utf-8", "replace").decode()
    # Lambda itself uses this type in this case, and callers expect it.
    error_type = error.lambda_type if isinstance(error, ResponseTooLarge) else error.name
    return orjson.dumps({"errorMessage": message, "errorType": error_type, "stackTrace": []})
