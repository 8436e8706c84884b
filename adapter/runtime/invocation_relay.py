"""Relays one invocation: event → request → app → response → Lambda. The response is one payload or a stream.

Every invocation ends exactly once. If it fails before the first byte of its response is sent to Lambda, it ends as an
error. If it fails later, its stream ends with error trailers, since sent bytes cannot be withdrawn.
"""

from __future__ import annotations

from time import monotonic, time

from adapter.aws.limits import BUFFERED_RESPONSE_LIMIT
from adapter.errors import (
    AppErrorStatus,
    AppTimeout,
    AppUnreachable,
    InvocationError,
    ResponseTooLarge,
    StartError,
    TruncatedResponse,
)
from adapter.logs import tenths_of_ms, trace_of
from adapter.numbers import LARGEST_IN_JSON, LONGEST_WAIT, whole_number
from adapter.payload.body import BodyRules
from adapter.payload.event import PASS_THROUGH
from adapter.payload.formats.pass_through import APP_STATUS
from adapter.payload.function_response import CONTENT_TYPE, encode_prelude
from adapter.payload.headers import first, forwardable
from adapter.payload.messages import ResponseHead
from adapter.payload.request import RequestRules, app_request
from adapter.payload.request_target import path_alone
from adapter.payload.reserved_paths import ReservedPaths
from adapter.runtime.connection import size_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Final

    from adapter.config.load import Config
    from adapter.errors import AdapterError
    from adapter.logs import Log
    from adapter.net.compression import Compressor
    from adapter.payload.formats.codec import Codec
    from adapter.payload.messages import Invocation, Request
    from adapter.runtime.api_client import RuntimeApiClient
    from adapter.runtime.app_client import AppClient
    from adapter.runtime.connection import Piece, Response

_JSON: Final = "application/json"
# Error responses of up to this size are read to their end, so that their connections can be reused. In bytes.
_ERROR_BODY_LIMIT: Final = 64 * 1024
# The wait for a restart of the app ends this many seconds before the invocation's deadline, so that a failure can still
# be reported.
_RESTART_MARGIN: Final = 0.1
_FORBIDDEN: Final = b'{"message":"Forbidden"}'
# The errors that Lambda's timeout can cause: Lambda ends the processes, and so the app closes its connections.
_CAUSED_BY_TIMEOUT = (AppTimeout, AppUnreachable, TruncatedResponse, StartError)


class InvocationRelay:
    """Relays the invocations of one slot from ``api`` to ``app`` and back."""

    def __init__(self, config: Config, *, api: RuntimeApiClient, app: AppClient, log: Log) -> None:
        self.api = api
        self.app = app
        self.log = log
        self.is_streaming = config.invoke_mode == "response_stream"
        self.error_statuses = config.error_statuses
        self.sends_app_status = config.sends_app_status
        self.codings: dict[str, Callable[[], Compressor]] = {}
        if config.compression:
            from adapter.net.compression import available_codings  # few functions compress

            self.codings = available_codings()
        self.body_rules = BodyRules(
            binary_types=config.binary_types,
            text_types=config.text_types,
            all_cookies=config.alb_cookies == "all",
        )
        self.reserved = ReservedPaths(config.reserved_paths)
        self.request_rules = RequestRules(
            base_path=config.base_path,
            pass_through_path=config.pass_through_path,
            authorization_source=config.authorization_source,
            strip_forwarded=config.strip_forwarded,
            env_config={
                "function_name": config.function_name,
                "memory": whole_number(config.function_memory, LARGEST_IN_JSON) or 0,
                "version": config.function_version,
                "log_group": config.log_group,
                "log_stream": config.log_stream,
            },
        )
        # With several slots, the environment survives a timeout, so every request must end by its deadline.
        margin = 0.0 if config.deadline_margin is None and config.max_concurrency > 1 else config.deadline_margin
        self.deadline_margin = margin
        # True until the first invocation, whose log line shows a cold start. Provisioned environments and snapshots
        # complete their init earlier, so they have no cold start.
        self.is_cold = config.initialization_type == "on-demand"

    def relay(self, invocation: Invocation) -> AdapterError | None:
        """Relay one invocation and end it. Return the error if the invocation or its stream failed, else None.

        Raises RuntimeApiError if the end of the invocation cannot be reported to Lambda.
        """
        return _RelayedInvocation(self, invocation).run()

    def check_cookies(self, format_name: str, head: ResponseHead) -> None:
        """Log a warning, once, if ``head`` sets several cookies, since the format ``format_name`` keeps only one."""
        if self.body_rules.all_cookies:
            return
        if len([name for name, _ in head.headers if name.lower() == "set-cookie"]) > 1:
            self.log.warning_once(
                f"cookies are lost: a response has several, and {format_name} sends only the last; turn on multi-value "
                "headers of the target group, or set ADAPTER_ALB_COOKIES=all"
            )

    def fail(self, invocation: Invocation, error: AdapterError) -> None:
        """End an invocation with ``error``, without a request to the app. Raises RuntimeApiError as ``relay`` does."""
        _RelayedInvocation(self, invocation).fail(error)


class _RelayedInvocation:
    """The relay of one invocation, and the values for its log line."""

    __slots__ = (
        "_bytes",
        "_error",
        "_extra_line",
        "_first_byte",
        "_invocation",
        "_is_refused",
        "_relay",
        "_request",
        "_start",
        "_status",
    )

    def __init__(self, relay: InvocationRelay, invocation: Invocation) -> None:
        self._start = monotonic()
        self._relay = relay
        self._invocation = invocation
        # None if the event could not be turned into a request.
        self._request: Request | None = None
        self._status = 0
        self._first_byte = 0.0
        self._bytes = 0
        # True if the adapter refused the client's request.
        self._is_refused = False
        # A header line for the response to Lambda; empty except under ``adapter dev``.
        self._extra_line = ""
        # The reason why the invocation, or the rest of its stream, failed.
        self._error: AdapterError | None = None

    def run(self) -> AdapterError | None:
        """Relay the invocation, as ``InvocationRelay.relay`` does."""
        try:
            codec, request = app_request(self._invocation, self._relay.request_rules)
            self._request = request
            problem = self._relay_request(codec, request)
        except InvocationError as error:
            self.fail(error)
        else:
            self._log(problem)
        return self._error

    def fail(self, error: AdapterError) -> None:
        """End the invocation with ``error``, and log the invocation."""
        self._error = error = _or_timeout(error, self._invocation)
        self._log(self._relay.api.send_error(self._invocation, error))

    def _relay_request(self, codec: Codec, request: Request) -> str:
        """Send ``request`` to the app, and the response to Lambda. Return Lambda's refusal, or an empty string."""
        relay = self._relay
        if relay.reserved and codec is not PASS_THROUGH and request.target in relay.reserved:
            return self._refuse_reserved(codec)
        deadline = restart_limit = None
        if self._invocation.deadline_ms:
            end = monotonic() + min(self._invocation.deadline_ms / 1000 - time(), LONGEST_WAIT)
            if relay.deadline_margin is not None:
                deadline = end - relay.deadline_margin
            restart_limit = end - max(relay.deadline_margin or 0.0, _RESTART_MARGIN)
        response = relay.app.send(request, deadline, restart_limit=restart_limit)
        try:
            self._status = response.head.status
            self._first_byte = monotonic()
            if self._status in relay.error_statuses:
                _drain(response)
                # The message does not contain the body, because the body may quote the request, and errors are logged.
                event = "" if codec.has_prelude else f"POST {path_alone(request.target)}: "
                raise AppErrorStatus(f"{event}the app answered {self._status}, which is in AWS_LWA_ERROR_STATUS_CODES")
            if not codec.has_prelude:
                self._note_event_status(path_alone(request.target))
            return self._relay_response(codec, request, response)
        finally:
            relay.app.release(response)

    def _note_event_status(self, path: str) -> None:
        """Report the app's status for a non-HTTP event, since Lambda itself drops this status.

        Log a warning if the status means that the event is lost. Under ``adapter dev``, send the status to Lambda's
        emulator.
        """
        relay = self._relay
        if warning := PASS_THROUGH.lost_event_text(self._status, path):
            relay.log.warning(warning, requestId=self._invocation.request_id)
        if relay.sends_app_status:
            self._extra_line = f"{APP_STATUS}: {self._status} {path}\r\n"

    def _refuse_reserved(self, codec: Codec) -> str:
        """Answer an HTTP event for a reserved path with 403. Return Lambda's refusal, or an empty string."""
        head = ResponseHead(status=403, headers=[("content-type", _JSON)])
        self._status = head.status
        self._is_refused = True
        if not self._relay.is_streaming:
            return self._send_whole(codec, head, _FORBIDDEN)
        self._bytes = len(_FORBIDDEN)
        stream = self._relay.api.open_stream(self._invocation, CONTENT_TYPE)
        return stream.finish([encode_prelude(head), _FORBIDDEN])

    def _relay_response(self, codec: Codec, request: Request, response: Response) -> str:
        """Send ``response`` to Lambda. Return Lambda's refusal, or an empty string."""
        head = ResponseHead(status=response.head.status, headers=forwardable(response.head.headers))
        body: Response | _CompressedBody = response
        if self._relay.codings and codec.has_prelude:
            from adapter.net.compression import negotiate_compression  # loaded in InvocationRelay.__init__

            accepted = first(request.headers, "accept-encoding")
            head, compressor = negotiate_compression(
                head, method=request.method, accept_encoding=accepted, codings=self._relay.codings
            )
            if compressor is not None:
                body = _CompressedBody(response, compressor)
        if self._relay.is_streaming:
            return self._stream(codec, head, body)
        whole = body.read(BUFFERED_RESPONSE_LIMIT)
        if whole is None:
            raise _too_large("the body alone is larger")
        return self._send_whole(codec, head, whole)

    def _send_whole(self, codec: Codec, head: ResponseHead, body: bytes | bytearray) -> str:
        self._bytes = len(body)
        if codec.sends_one_cookie:
            self._relay.check_cookies(codec.name, head)
        parts = codec.encode_response(head, body, self._relay.body_rules)
        size = size_of(parts)
        if size > BUFFERED_RESPONSE_LIMIT:
            raise _too_large(f"the encoded response has {size} bytes")
        content_type = _JSON if codec.has_prelude else _type_of(head)
        return self._relay.api.send_response(self._invocation, parts, content_type, self._extra_line)

    def _stream(self, codec: Codec, head: ResponseHead, body: Response | _CompressedBody) -> str:
        stream = self._relay.api.open_stream(self._invocation, _streamed_type(codec, head), self._extra_line)
        opening: list[Piece] = [encode_prelude(head)] if codec.has_prelude else []
        try:
            pieces: Sequence[Piece] = [*opening, *body.pieces]
            while not body.complete:
                if pieces and not stream.write(pieces):
                    # Lambda does not accept more data. These pieces are already counted as sent.
                    pieces = ()
                    break
                pieces = body.receive()
        except InvocationError as error:
            if not stream.begun:
                raise
            self._error = failure = _or_timeout(error, self._invocation)
            problem = stream.fail(failure)
        else:
            problem = stream.finish(pieces)
        self._bytes = stream.bytes - size_of(opening)
        return problem

    def _log(self, problem: str) -> None:
        """Log the invocation. An invocation that succeeded is logged only if the access log is on.

        ``problem`` is Lambda's refusal of the response, or empty. A refusal is logged in a line of its own.
        """
        log, request_id = self._relay.log, self._invocation.request_id
        if problem:
            is_late = "InvalidRequestID" in problem
            what = "the answer to this invocation came too late" if is_late else "Lambda refused the response"
            if is_late and has_timed_out(self._invocation):
                what = "the invocation timed out, and its answer came too late"
            log.error(f"{what}: {problem}", requestId=request_id)
        is_cold, self._relay.is_cold = self._relay.is_cold, False
        level = "warn" if self._is_refused else "info"
        if self._error is not None or self._status >= 500:
            level = "error"
        if level == "info" and not log.has_access_log:
            return
        fields: dict[str, object] = {"requestId": request_id}
        if self._request is not None:
            fields["method"] = self._request.method
            # Without the query, which may contain secrets.
            fields["path"] = path_alone(self._request.target)
        if self._status:
            fields["status"] = self._status
            fields["bytes"] = self._bytes
        fields["ms"] = tenths_of_ms(monotonic() - self._start)
        if self._first_byte:
            fields["firstByteMs"] = tenths_of_ms(self._first_byte - self._start)
        if self._request is not None and (hops := first(self._request.headers, "x-forwarded-for")):
            # The front door has appended the address of its client.
            fields["client"] = hops.rpartition(",")[2].strip()
        if trace := trace_of(self._invocation.trace_id):
            fields["traceId"] = trace
        if is_cold:
            fields["coldStart"] = True
        if self._error is not None:
            fields |= {"error": self._error.name, "reason": str(self._error)}
        log.log_invocation(fields, level)


def has_timed_out(invocation: Invocation) -> bool:
    """Return whether Lambda's deadline for ``invocation`` has passed. Return False if the deadline is unknown."""
    return 0 < invocation.deadline_ms <= time() * 1000


def _or_timeout(error: AdapterError, invocation: Invocation) -> AdapterError:
    """Return an AppTimeout if the timeout of the Lambda function may have caused ``error``, else ``error`` itself.

    The timeout may be the cause if Lambda's deadline has passed and ``error`` is of a class in _CAUSED_BY_TIMEOUT.
    """
    if not isinstance(error, _CAUSED_BY_TIMEOUT) or not has_timed_out(invocation):
        return error
    return AppTimeout(
        "the invocation timed out: its deadline passed before the app's response was complete; "
        "raise the function's timeout, or make the app answer sooner"
    )


class _CompressedBody:
    """Compresses the body of ``response`` while it is read.

    This class has the attributes and methods of ``Response`` that concern the body.
    """

    def __init__(self, response: Response, compressor: Compressor) -> None:
        self._response = response
        self._compressor = compressor
        self.complete = response.complete

    @property
    def pieces(self) -> list[bytes]:
        """The compressed form of the pieces that arrived with the head.

        Read this attribute only once: each time it is read, the pieces pass through the compressor.
        """
        return self._compress(self._response.pieces)

    def receive(self) -> list[bytes]:
        """Receive once, compress the received pieces, and return the result. Raises as ``Response.receive`` does."""
        return self._compress(self._response.receive())

    def read(self, limit: int) -> bytes | bytearray | None:
        """Receive and compress the whole body, and return the result.

        Return None if the compressed data exceeds ``limit`` bytes before the whole body has arrived from the app.
        """
        body = bytearray()
        pieces = self._response.pieces
        while True:
            for piece in pieces:
                body += self._compressor.compress(piece)
            if self._response.complete:
                return body + self._compressor.finish()
            if len(body) > limit:
                return None
            pieces = self._response.receive()

    def _compress(self, pieces: list[memoryview]) -> list[bytes]:
        encoded = [self._compressor.compress(piece) for piece in pieces]
        self.complete = self._response.complete
        if self.complete:
            encoded.append(self._compressor.finish())
        elif pieces:
            # The client must be able to decode everything that has arrived.
            encoded.append(self._compressor.flush())
        return encoded


def _streamed_type(codec: Codec, head: ResponseHead) -> str:
    """Return the content type of the payload of a streamed response."""
    return CONTENT_TYPE if codec.has_prelude else _type_of(head)


def _type_of(head: ResponseHead) -> str:
    return first(head.headers, "content-type") or "application/octet-stream"


def _drain(response: Response) -> None:
    """Read and discard a short body, so that the connection can be reused."""
    try:
        response.read(_ERROR_BODY_LIMIT)
    except InvocationError:
        # The connection cannot be reused, and is closed later.
        return


def _too_large(reason: str) -> ResponseTooLarge:
    return ResponseTooLarge(
        f"Response payload size exceeded maximum allowed payload size ({BUFFERED_RESPONSE_LIMIT} bytes): {reason}. "
        "For larger responses, use AWS_LWA_INVOKE_MODE=response_stream and a front door that streams"
    )
