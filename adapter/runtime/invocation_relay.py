"""One invocation: event → request → app → response → Lambda, as one buffered payload or as a stream.

Whatever happens, the invocation gets exactly one end. Before the first byte of a response that is an error; after it,
a stream's error trailers, since neither its status nor what was sent can be taken back.
"""

from __future__ import annotations

from time import monotonic, time

from adapter.aws.limits import BUFFERED_RESPONSE_LIMIT
from adapter.errors import AppErrorStatus, InvocationError, ResponseTooLarge
from adapter.net.compression import available_codings, negotiate_compression
from adapter.payload.body import BodyRules
from adapter.payload.function_response import CONTENT_TYPE, encode_prelude
from adapter.payload.headers import first, forwardable
from adapter.payload.messages import ResponseHead
from adapter.payload.request import RequestRules, app_request
from adapter.payload.request_target import percent_decode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from adapter.config.load import Config
    from adapter.errors import AdapterError
    from adapter.logs import Log
    from adapter.net.compression import Compressor
    from adapter.payload.formats.codec import Codec
    from adapter.payload.messages import Invocation, Request
    from adapter.runtime.api_client import ResponseStream, RuntimeApiClient
    from adapter.runtime.app_client import App, AppResponse
    from adapter.runtime.connection import Piece

_JSON = "application/json"
# How much of an error response is read so that its connection can carry the next request, in bytes.
_ERROR_BODY_LIMIT = 64 * 1024


class InvocationRelay:
    """Relays invocations of one slot from ``api`` to ``app`` and back."""

    def __init__(self, config: Config, *, api: RuntimeApiClient, app: App, log: Log) -> None:
        self._api = api
        self._app = app
        self._log = log
        self._streams = config.invoke_mode == "response_stream"
        self._error_statuses = config.error_statuses
        self._codings = available_codings() if config.compression else {}
        self._body_rules = BodyRules(binary_types=config.binary_types, text_types=config.text_types)
        hooks = (config.before_checkpoint_path, config.after_restore_path)
        self._hooks = {_plain_path(hook) for hook in hooks if hook is not None}
        self._request_rules = RequestRules(
            base_path=config.base_path,
            pass_through_path=config.pass_through_path,
            authorization_source=config.authorization_source,
            env_config={
                "function_name": config.function_name,
                "memory": int(config.function_memory) if config.function_memory.isdigit() else 0,
                "version": config.function_version,
                "log_group": config.log_group,
                "log_stream": config.log_stream,
            },
        )
        # Among many slots the environment lives on after a timeout, so a request must not outlive its deadline.
        margin = 0.0 if config.deadline_margin is None and config.max_concurrency > 1 else config.deadline_margin
        self._deadline_margin = margin

    def invoke(self, invocation: Invocation) -> AdapterError | None:
        """InvocationRelay one invocation and end it. Gives why it, or the rest of its stream, failed.

        Raises RuntimeApiError when Lambda cannot be told of its end.
        """
        visit = _Visit(invocation)
        try:
            codec, request = app_request(invocation, self._request_rules)
            visit.request = request
            response = self._ask(visit, request)
            try:
                self._answer(visit, codec, response)
            finally:
                response.close()
        except InvocationError as error:
            visit.error = error
            visit.problem = self._api.send_error(invocation, error)
        self._write_line(visit)
        return visit.error

    def fail(self, invocation: Invocation, error: AdapterError) -> None:
        """End an invocation that the app was not asked about. Raises RuntimeApiError as ``invoke`` does."""
        visit = _Visit(invocation)
        visit.error = error
        visit.problem = self._api.send_error(invocation, error)
        self._write_line(visit)

    def _ask(self, visit: _Visit, request: Request) -> AppResponse | _Refusal:
        if self._hooks and _plain_path(request.target) in self._hooks:
            refusal = _Refusal()
            visit.status = refusal.head.status
            return refusal
        invocation = visit.invocation
        deadline = None
        if self._deadline_margin is not None and invocation.deadline_ms:
            deadline = monotonic() + invocation.deadline_ms / 1000 - time() - self._deadline_margin
        response = self._app.send(request, deadline)
        visit.status = response.head.status
        if visit.status in self._error_statuses:
            _drain(response)
            # The body may quote the request, and errors are logged.
            raise AppErrorStatus(f"the app answered {visit.status}, which AWS_LWA_ERROR_STATUS_CODES names")
        return response

    def _answer(self, visit: _Visit, codec: Codec, response: AppResponse | _Refusal) -> None:
        head = ResponseHead(status=response.head.status, headers=forwardable(response.head.headers))
        compressor = None
        if self._codings and codec.has_prelude and visit.request is not None:
            request = visit.request
            accepted = first(request.headers, "accept-encoding")
            head, compressor = negotiate_compression(
                head, method=request.method, accept_encoding=accepted, codings=self._codings
            )
        if self._streams:
            stream = self._api.open_stream(visit.invocation, _content_type(codec, head, streamed=True))
            opening: list[Piece] = [encode_prelude(head)] if codec.has_prelude else []
            self._stream(visit, stream, opening, _Body(response, compressor))
        else:
            self._buffer(visit, codec, head, _Body(response, compressor))

    def _buffer(self, visit: _Visit, codec: Codec, head: ResponseHead, body: _Body) -> None:
        whole = body.read(BUFFERED_RESPONSE_LIMIT)
        if whole is None:
            raise _too_large("its body alone is larger")
        visit.bytes = len(whole)
        parts = codec.encode_response(head, whole, self._body_rules)
        size = sum(map(len, parts))
        if size > BUFFERED_RESPONSE_LIMIT:
            raise _too_large(f"encoded it has {size} bytes")
        content_type = _content_type(codec, head, streamed=False)
        visit.problem = self._api.send_response(visit.invocation, parts, content_type)

    def _stream(self, visit: _Visit, stream: ResponseStream, opening: list[Piece], body: _Body) -> None:
        try:
            pieces: Sequence[Piece] = [*opening, *body.pieces()]
            while not body.complete:
                if pieces and not stream.write(pieces):
                    # They count as sent, for once.
                    pieces = ()
                    break
                pieces = body.receive()
        except InvocationError as error:
            if not stream.begun:
                raise
            visit.error = error
            visit.problem = stream.fail(error)
        else:
            visit.problem = stream.finish(pieces)
        visit.bytes = stream.bytes - sum(map(len, opening))

    def _write_line(self, visit: _Visit) -> None:
        request_id = visit.invocation.request_id
        if visit.problem:
            is_late = "InvalidRequestID" in visit.problem
            what = "the answer came too late" if is_late else "Lambda refused the response"
            self._log.error(f"{what}: {visit.problem}", requestId=request_id)
        self._log.access(visit.invocation, **visit.fields())


class _Body:
    """An app's body on its way: compressed where that was agreed, in pieces or whole."""

    def __init__(self, response: AppResponse | _Refusal, compressor: Compressor | None) -> None:
        self._response = response
        self._compressor = compressor

    @property
    def complete(self) -> bool:
        return self._response.complete

    def pieces(self) -> Sequence[Piece]:
        """What came with the head."""
        return self._encoded(self._response.pieces)

    def receive(self) -> Sequence[Piece]:
        """What comes next, as it arrives."""
        return self._encoded(self._response.receive())

    def read(self, limit: int) -> bytes | bytearray | None:
        """The whole body; None when it is over ``limit``, compressed where that was agreed."""
        if self._compressor is None:
            return self._response.read(limit)
        body = bytearray()
        pieces = self._response.pieces
        while True:
            for piece in pieces:
                body += self._compressor.compress(piece)
            if self.complete:
                return body + self._compressor.finish()
            if len(body) > limit:
                return None
            pieces = self._response.receive()

    def _encoded(self, pieces: list[memoryview]) -> Sequence[Piece]:
        if self._compressor is None:
            return pieces
        encoded = [self._compressor.compress(piece) for piece in pieces]
        if self.complete:
            encoded.append(self._compressor.finish())
        elif pieces:
            # The client must be able to decode all that has arrived.
            encoded.append(self._compressor.flush())
        return encoded


class _Visit:
    """What is known of an invocation so far, for its line in the log."""

    __slots__ = ("_start", "bytes", "error", "invocation", "problem", "request", "status")

    def __init__(self, invocation: Invocation) -> None:
        self._start = monotonic()
        # Why the invocation, or the rest of its stream, failed.
        self.error: AdapterError | None = None
        self.invocation = invocation
        # None where the event could not become one.
        self.request: Request | None = None
        self.status = 0
        self.bytes = 0
        # What Lambda found wrong with the answer.
        self.problem = ""

    def fields(self) -> dict[str, object]:
        """The fields of the access line; no query, since secrets travel in it."""
        fields: dict[str, object] = {}
        if self.request is not None:
            fields |= {"method": self.request.method, "path": self.request.target.partition("?")[0]}
        if self.status:
            fields |= {"status": self.status, "bytes": self.bytes}
        fields["ms"] = round((monotonic() - self._start) * 1000, 1)
        if self.error is not None:
            fields |= {"error": self.error.name, "reason": str(self.error)}
        return fields


class _Refusal:
    """Stands in for the app's response where an outside request names a SnapStart hook, which only Lambda may call."""

    complete = True

    def __init__(self) -> None:
        body = b'{"message":"Forbidden"}'
        self.head = ResponseHead(status=403, headers=[("content-type", _JSON)])
        self.pieces = [memoryview(body)]

    def receive(self) -> list[memoryview]:
        return []

    def read(self, limit: int) -> bytearray:
        return bytearray().join(self.pieces)

    def close(self) -> None:
        return


def _plain_path(target: str) -> str:
    """The path that an app sees in ``target``, so that no percent-encoding disguises it."""
    return percent_decode(target.partition("?")[0])


def _content_type(codec: Codec, head: ResponseHead, *, streamed: bool) -> str:
    if codec.has_prelude:
        return CONTENT_TYPE if streamed else _JSON
    return first(head.headers, "content-type") or "application/octet-stream"


def _drain(response: AppResponse) -> None:
    """Be done with a response that nobody wants, and keep its connection where the body is a short one."""
    try:
        response.read(_ERROR_BODY_LIMIT)
    except InvocationError:
        # That it broke off matters to nobody either.
        return
    finally:
        response.close()


def _too_large(size: str) -> ResponseTooLarge:
    return ResponseTooLarge(
        f"Response payload size exceeded maximum allowed payload size ({BUFFERED_RESPONSE_LIMIT} bytes): {size}. "
        "AWS_LWA_INVOKE_MODE=response_stream and a streaming front door have no such limit"
    )
