"""The client of Lambda's Runtime API (2018-06-01) and of the Extensions API (2020-01-01) as far as a runtime needs it.

Every invocation that ``next`` hands out is ended by exactly one of ``send_response``, a finished ``ResponseStream`` and
``send_error``.
"""

from __future__ import annotations

import orjson
import pybase64

from adapter.errors import AdapterError, InvocationError, ResponseTooLarge, RuntimeApiError
from adapter.net.http1 import ResponseReader
from adapter.payload.messages import Invocation
from adapter.runtime.connection import Connection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from adapter.net.address import Address
    from adapter.payload.messages import ResponseHead
    from adapter.runtime.connection import Piece

_RUNTIME = "/2018-06-01/runtime"
_EXTENSION = "/2020-01-01/extension"

_ERROR_TYPE_TRAILER = "Lambda-Runtime-Function-Error-Type"
_ERROR_BODY_TRAILER = "Lambda-Runtime-Function-Error-Body"

# Delays before asking /next again after a failed attempt, in seconds; after the last one the runtime gives up.
_NEXT_BACKOFF = (0.01, 0.05, 0.2, 0.5, 1.0)


class RuntimeApiClient:
    """Speaks to the Runtime API at ``address`` over one connection, as one invocation slot.

    ``wake_up`` is a descriptor that becomes readable when waiting for an invocation must be looked up from, or None.
    ``connect`` makes the connection.
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
        """Drop the connection; the next call makes a new one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def next(self, *, stopped: Callable[[], bool], wait: Callable[[float], object]) -> Invocation | None:
        """Wait for an invocation, for as long as it takes; None when woken up, or refused, and ``stopped()``.

        ``wait(seconds)`` is how to pause between attempts. Raises RuntimeApiError when the Runtime API stays away.
        """
        for delay in (*_NEXT_BACKOFF, None):
            try:
                return self._next(stopped)
            except (OSError, InvocationError, RuntimeApiError) as error:
                self.close()
                if stopped():
                    return None
                if delay is None:
                    raise RuntimeApiError(f"no invocation from the Runtime API at {self._address}: {error}") from error
                wait(delay)
        raise AssertionError("the last attempt returns or raises")

    def _next(self, stopped: Callable[[], bool]) -> Invocation | None:
        answer = self._get(self._next_request, stopped)
        return None if answer is None else _invocation(*answer)

    def _get(self, request: bytes, stopped: Callable[[], bool]) -> tuple[ResponseHead, bytearray] | None:
        """The answer to a GET that may take hours, which must be a 200; None when woken up and ``stopped()``."""
        # Not looked at first, for every invocation: where the peer has closed it, the call is made again.
        connection = self._connection or self.connect()
        connection.send((request,))
        # An invocation that has arrived is answered, even if the app is gone: exactly one answer per request id.
        if self._wake_up is not None and not connection.readable_or_stopped(self._wake_up, stopped):
            self.close()
            return None
        reader = ResponseReader("GET")
        pieces = connection.receive_head(reader)
        body = connection.receive_body(reader, pieces, None)
        head = reader.head
        assert head is not None
        assert body is not None, "there was no limit"
        if not reader.reusable:
            self.close()
        if head.status != 200:
            raise RuntimeApiError(f"status {head.status}: {body[:200].decode('utf-8', 'replace')}")
        return head, body

    def send_response(self, invocation: Invocation, parts: Sequence[bytes], content_type: str) -> str:
        """Answer with a whole payload. Gives an empty text, or what Lambda found wrong with it (413: too large)."""
        return self._post_invocation(invocation, "response", parts, f"Content-Type: {content_type}\r\n")

    def open_stream(self, invocation: Invocation, content_type: str) -> ResponseStream:
        """Begin to answer with a streamed payload."""
        return ResponseStream(self, invocation, content_type)

    def send_error(self, invocation: Invocation, error: AdapterError) -> str:
        """End the invocation as failed. Gives an empty text, or what Lambda found wrong with it."""
        return self._post_invocation(invocation, "error", (_error_body(error),), _error_headers(error))

    def send_init_error(self, error: AdapterError) -> None:
        """Report that the init phase failed; the process must end after it."""
        self._post(f"{_RUNTIME}/init/error", (_error_body(error),), _error_headers(error))

    def restore_next(self, stopped: Callable[[], bool]) -> None:
        """Tell Lambda that the snapshot may be taken; returns after a restore, or as ``next`` does when ``stopped()``.

        Raises RuntimeApiError.
        """
        try:
            self._get(f"GET {_RUNTIME}/restore/next HTTP/1.1\r\n".encode() + self.host_line + b"\r\n", stopped)
        except (OSError, InvocationError, RuntimeApiError) as error:
            if stopped():
                return
            raise RuntimeApiError(f"no restore from the Runtime API at {self._address}: {error}") from error
        finally:
            self.close()

    def send_restore_error(self, error: AdapterError) -> None:
        """Report that the restore failed; the process must end after it."""
        self._post(f"{_RUNTIME}/restore/error", (_error_body(error),), _error_headers(error))

    def _post_invocation(self, invocation: Invocation, call: str, parts: Sequence[bytes], headers: str) -> str:
        return self._post(f"{_RUNTIME}/invocation/{invocation.request_id}/{call}", parts, headers)

    def _post(self, path: str, parts: Sequence[bytes], headers: str) -> str:
        """POST a body in parts. Raises RuntimeApiError when there is no answer."""
        length = sum(map(len, parts))
        head = f"POST {path} HTTP/1.1\r\n{headers}Content-Length: {length}\r\n".encode() + self.host_line + b"\r\n"
        try:
            connection = self.connect()
            connection.send((head, *parts))
            return self.read_answer(connection, ResponseReader("POST"))
        except (OSError, InvocationError) as error:
            self.close()
            raise RuntimeApiError(f"POST {path} to the Runtime API at {self._address}: {error}") from error

    def connect(self) -> Connection:
        """The connection; a new one where there is none, or none that is still open. Raises OSError."""
        if self._connection is not None and not self._connection.is_open():
            self.close()
        if self._connection is None:
            self._connection = self._connect(self._address)
        return self._connection

    def read_answer(self, connection: Connection, reader: ResponseReader) -> str:
        """Read the answer; an empty text when it is a good one, else what it says."""
        body = connection.receive_body(reader, connection.receive_head(reader), None) or b""
        if not (reader.reusable and connection.is_whole):
            self.close()
        assert reader.head is not None
        if reader.head.status < 300:
            return ""
        return f"status {reader.head.status}: {body[:500].decode('utf-8', 'replace')}"


class ResponseStream:
    """A streamed response: ``write`` at will, then ``finish`` or ``fail``, once.

    The head goes out with the first write. The error trailers are declared in it, since undeclared ones are lost.
    """

    def __init__(self, api: RuntimeApiClient, invocation: Invocation, content_type: str) -> None:
        self._api = api
        self._connection: Connection | None = None
        # AWS, "Building a custom runtime": the connection is closed after a streamed response.
        self._head = (
            f"POST {_RUNTIME}/invocation/{invocation.request_id}/response HTTP/1.1\r\n"
            "Lambda-Runtime-Function-Response-Mode: streaming\r\n"
            f"Content-Type: {content_type}\r\n"
            "Transfer-Encoding: chunked\r\n"
            f"Trailer: {_ERROR_TYPE_TRAILER}, {_ERROR_BODY_TRAILER}\r\n"
            "Connection: close\r\n"
        ).encode() + api.host_line
        self._refused = False
        #: How many bytes of payload it has so far.
        self.bytes = 0

    @property
    def begun(self) -> bool:
        """Whether anything was sent, after which nothing can be taken back."""
        return self._connection is not None

    def write(self, pieces: Sequence[Piece]) -> bool:
        """Send ``pieces`` as one chunk; False when Lambda takes no more of this response.

        Raises RuntimeApiError when the connection is broken.
        """
        return self._send(self._chunk(pieces))

    def finish(self, pieces: Sequence[Piece]) -> str:
        """Send the last ``pieces`` and end the response. Gives an empty text, or what Lambda found wrong with it."""
        return self._end([*self._chunk(pieces), b"0\r\n\r\n"])

    def fail(self, error: AdapterError) -> str:
        """End a response that cannot be completed, with the error as trailers. Lambda counts the invocation as done."""
        trailers = (
            f"0\r\n{_ERROR_TYPE_TRAILER}: {error.lambda_type}\r\n"
            f"{_ERROR_BODY_TRAILER}: {pybase64.b64encode(_error_body(error)).decode()}\r\n\r\n"
        )
        return self._end([trailers.encode()])

    def _chunk(self, pieces: Sequence[Piece]) -> list[Piece]:
        """``pieces`` as one chunk; nothing where they are empty, since an empty chunk ends the body."""
        size = sum(map(len, pieces))
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
            # What it said before it hung up, if anything, is read at the end.
            self._refused = True
        except OSError as error:
            self._api.close()
            raise RuntimeApiError(f"the Runtime API broke off a streamed response: {error}") from error
        return not self._refused

    def _end(self, parts: list[Piece]) -> str:
        self._send(parts)
        assert self._connection is not None
        try:
            return self._api.read_answer(self._connection, ResponseReader("POST"))
        except (OSError, InvocationError) as error:
            raise RuntimeApiError(f"no answer to a streamed response: {error}") from error
        finally:
            self._api.close()


def register_extension(address: Address, name: str) -> Connection:
    """Register as extension ``name`` for no events, so that Lambda sends SIGTERM before it ends the environment.

    Init waits for every extension's first ``/event/next``: it goes out on the connection that is returned, whose
    answer nobody reads; keep it open. Raises RuntimeApiError.
    """
    connection = Connection(address)
    try:
        return _register(connection, address, name)
    except (OSError, InvocationError) as error:
        connection.close()
        raise RuntimeApiError(f"extension {name!r} could not register: {error}") from error
    except RuntimeApiError:
        connection.close()
        raise


def _register(connection: Connection, address: Address, name: str) -> Connection:
    host = f"Host: {address.host_header}\r\n"
    body = b'{"events":[]}'
    register = (
        f"POST {_EXTENSION}/register HTTP/1.1\r\n{host}Lambda-Extension-Name: {name}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    connection.send((register.encode(), body))
    reader = ResponseReader("POST")
    answer = connection.receive_body(reader, connection.receive_head(reader), None) or b""
    assert reader.head is not None
    identifier = _lower(reader.head).get("lambda-extension-identifier")
    if reader.head.status != 200 or identifier is None:
        raise RuntimeApiError(f"extension {name!r} was refused: status {reader.head.status}: {answer[:200]!r}")
    following = f"GET {_EXTENSION}/event/next HTTP/1.1\r\n{host}Lambda-Extension-Identifier: {identifier}\r\n\r\n"
    if not reader.reusable:
        connection.close()
        connection = Connection(address)
    connection.send((following.encode(),))
    return connection


def _invocation(head: ResponseHead, event: bytearray) -> Invocation:
    headers = _lower(head)
    try:
        return Invocation(
            request_id=headers["lambda-runtime-aws-request-id"],
            event=event,
            deadline_ms=int(headers.get("lambda-runtime-deadline-ms", "0")),
            trace_id=headers.get("lambda-runtime-trace-id", ""),
            invoked_function_arn=headers.get("lambda-runtime-invoked-function-arn", ""),
            client_context=headers.get("lambda-runtime-client-context", ""),
            cognito_identity=headers.get("lambda-runtime-cognito-identity", ""),
            tenant_id=headers.get("lambda-runtime-aws-tenant-id", ""),
        )
    except (KeyError, ValueError) as error:
        raise RuntimeApiError(f"an invocation without a usable header: {error}") from error


def _lower(head: ResponseHead) -> dict[str, str]:
    return {name.lower(): value for name, value in head.headers}


def _error_headers(error: AdapterError) -> str:
    return f"Content-Type: application/json\r\n{_ERROR_TYPE_TRAILER}: {error.lambda_type}\r\n"


def _error_body(error: AdapterError) -> bytes:
    message = str(error).encode("utf-8", "replace").decode()
    # Callers look for Lambda's own type where Lambda has one for the case.
    error_type = error.lambda_type if isinstance(error, ResponseTooLarge) else error.name
    return orjson.dumps({"errorMessage": message, "errorType": error_type, "stackTrace": []})
