"""Relays requests to the app. Relays each response to the client, as a throttled stream or as one buffered body.

``ProxiedRequest._fail`` turns errors into responses. If a response has already begun, it is cut off instead, so that
the client can distinguish it from a complete response. If a client disconnects, its request to the app is cancelled.

Only requests that may be executed twice are sent over reused connections. If a reused connection closes before any byte
of a response arrives, the request is sent once more, over a new connection.
"""

from __future__ import annotations

import asyncio
import json
from time import monotonic
from typing import TYPE_CHECKING

from adapter.app.readiness import is_refused
from adapter.aws.limits import BUFFERED_RESPONSE_LIMIT
from adapter.errors import (
    AdapterError,
    AppNotServing,
    AppUnreachable,
    InvalidAppResponse,
    RefusedRequest,
    ResponseTooLarge,
)
from adapter.logs import tenths_of_ms, trace_of
from adapter.net.compression import available_codings, negotiate_compression
from adapter.net.http1 import encode_text
from adapter.net.paced_writer import PacedWriter
from adapter.net.server import BodyTruncatedError, ClientStalledError
from adapter.net.token_bucket import TokenBucket
from adapter.payload.headers import first, first_values, forwardable
from adapter.payload.messages import ResponseHead
from adapter.payload.request_target import path_alone
from adapter.proxy.forwarded_request import (
    REQUEST_ID,
    ForwardedRequest,
    ForwardingRules,
    announced_trailers,
    choose_request_id,
    forwarded_request,
    forwarded_trailers,
)
from adapter.proxy.restart_wait import RestartWait
from adapter.proxy.upgrade import exchange_bytes
from adapter.proxy.upstream import READ_HIGH_WATER

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from adapter.config.load import Config
    from adapter.logs import Log
    from adapter.net.compression import Compressor
    from adapter.net.server import Exchange
    from adapter.proxy.app_supervisor import AppSupervisor
    from adapter.proxy.metrics import Metrics
    from adapter.proxy.upstream import Upstream, UpstreamConnection

    Piece = bytes | memoryview

# The Retry-After header of answers while the app is not ready, in seconds.
RETRY_AFTER = "1"


class RequestRelay:
    """Relays requests to the app, and keeps the state that all requests share.

    ``is_cutting_off`` is True once the proxy itself closes connections. Log lines then do not state that a client left.
    """

    def __init__(
        self, config: Config, *, upstream: Upstream, supervisor: AppSupervisor, metrics: Metrics, log: Log
    ) -> None:
        self.upstream = upstream
        self.supervisor = supervisor
        self.metrics = metrics
        self.log = log
        self.is_cutting_off = False
        self.rules = ForwardingRules(config, default_host=upstream.address.host_header)
        self.streams = config.invoke_mode != "buffered"
        self.codings = available_codings() if config.compression else {}
        self.bandwidth = config.bandwidth
        self.total = None if config.total_bandwidth is None else TokenBucket(config.total_bandwidth)
        caps = [cap for cap in (config.bandwidth, config.total_bandwidth) if cap is not None]
        # The number of bytes of a new stream that may be sent at once. More than READ_HIGH_WATER makes no difference.
        self.first_room = min([READ_HIGH_WATER, *[cap.burst for cap in caps]])
        self.is_capped = bool(caps)
        self.stream_limit = config.stream_limit or None
        # The size up to which neither a cap nor a limit applies to a response. It is -1 if there is a total cap, which
        # depends on other responses.
        self.unlimited_size = (
            -1 if self.total is not None else min(self.first_room, config.stream_limit or READ_HIGH_WATER)
        )
        self.request_timeout = config.request_timeout
        self.idle_timeout = config.idle_timeout
        self._restart_wait = RestartWait(upstream, supervisor)

    def serve(self, exchange: Exchange) -> Awaitable[None]:
        """Answer one request. The awaitable raises no exception except CancelledError."""
        return ProxiedRequest(self, exchange).serve()

    async def connect(self, *, reuse: bool, arrived_at: float) -> UpstreamConnection:
        """Return a connection to the app for a request that arrived at ``arrived_at``, a time of the monotonic clock.

        If the app is restarting or refuses the connection, wait for the app. Raises AppNotServing if the app is not
        ready, and AppUnreachable if it accepts no connection.
        """
        problem: AppUnreachable | AppNotServing
        if self.supervisor.ready:
            try:
                return await self.upstream.acquire(reuse=reuse)
            except AppUnreachable as error:
                if not is_refused(error.connect_error):
                    raise
                problem = error
        elif self.supervisor.is_restarting:
            problem = AppNotServing("the app is restarting")
        else:
            raise AppNotServing("the app is not ready")
        limit = None if self.request_timeout is None else arrived_at + self.request_timeout
        return await self._restart_wait.connect(problem, limit)


class ProxiedRequest:
    """One request to the proxy, from its arrival to its log line. The methods are in the order of the events."""

    def __init__(self, relay: RequestRelay, exchange: Exchange) -> None:
        self._relay = relay
        self._exchange = exchange
        self._arrived_at = monotonic()
        self._headers = first_values(exchange.headers)
        self._request_id = choose_request_id(self._headers.get(REQUEST_ID, ""))
        self._request: ForwardedRequest
        self._connection: UpstreamConnection
        self._app_head: ResponseHead
        # The pieces of the body that were sent over a reused connection. They may have to be sent again.
        self._sent_pieces: list[bytes] = []
        # The headers and the body length of the response to the client. The length is None if it is unknown.
        self._response_headers: list[tuple[str, str]] = []
        self._length: int | None = None
        self._compressor: Compressor | None = None
        # For the log line and the metrics. The headers are not kept while the response lasts.
        self._trace_header = self._headers.get("x-amzn-trace-id") or self._headers.get("traceparent", "")
        self._status = 0
        self._first_byte_seconds = 0.0
        self._held_seconds = 0.0
        self._app_bytes = 0
        self._error_bytes = 0
        self._error = ""
        self._reason = ""
        self._is_clients_fault = False

    async def serve(self) -> None:
        """Answer the request, log it, and count it in the metrics. Raises no exception except CancelledError."""
        metrics = self._relay.metrics
        metrics.in_flight += 1
        try:
            await self._forward()
        except (AdapterError, ConnectionError) as error:
            self._fail(error)
        except asyncio.CancelledError:
            self._note_disconnect()
            raise
        except Exception:
            from traceback import format_exc  # only an internal error needs it

            self._relay.log.error(f"an internal error of the adapter: {format_exc()}", requestId=self._request_id)
            self._fail(AdapterError("an internal error of the adapter; the adapter's log has the details"))
        finally:
            metrics.in_flight -= 1
            metrics.count_request(self._exchange.method, self._status, self._app_bytes, self._first_byte_seconds)
            self._log()

    async def _forward(self) -> None:
        relay = self._relay
        if not (relay.supervisor.ready or relay.supervisor.is_restarting):
            raise AppNotServing("the app is not ready")
        self._request = forwarded_request(
            self._exchange, relay.rules, first_values=self._headers, request_id=self._request_id
        )
        if self._exchange.disconnected.done():
            # The client left while its request waited behind another one, so the app does not get the request.
            raise ConnectionResetError("the client has closed its side of the connection")
        if not await self._send_once(reuse=self._request.repeatable):
            await self._send_once(reuse=False)

    async def _send_once(self, *, reuse: bool) -> bool:
        """Send the request to the app, and the app's response to the client.

        Return False if a reused connection closed before the response began, else True.
        """
        relay, exchange = self._relay, self._exchange
        self._connection = connection = await relay.connect(reuse=reuse, arrived_at=self._arrived_at)
        exchange.is_response_at_hand = self._is_response_at_hand
        try:
            connection.begin(exchange.method, self._request.head)
            if relay.streams and relay.first_room < READ_HIGH_WATER:
                connection.limit_read_ahead(relay.first_room, was_held=False)
            if self._request.has_body:
                await self._answer_during_upload()
            else:
                connection.end_request()
                await self._answer()
        except AppUnreachable:
            if not connection.was_lost_unanswered:
                raise
            return False
        finally:
            # Break the reference cycle of the exchange and this object, so that no garbage collection is needed.
            exchange.is_response_at_hand = None
            relay.upstream.release(connection)
        return True

    def _is_response_at_hand(self) -> bool:
        return self._connection.is_response_complete()

    async def _answer_during_upload(self) -> None:
        """Send the body to the app while waiting for the response, which may arrive before the app has read the body.

        Raises RefusedRequest if the client does not send the whole body.
        """
        failure: Exception | None = None
        async with asyncio.TaskGroup() as group:
            upload = group.create_task(self._upload())
            try:
                await self._answer()
            except (AdapterError, ConnectionError) as error:
                # Raised after the group, which would wrap it in an ExceptionGroup.
                failure = error
            upload.cancel()
        refusal = None if upload.cancelled() else upload.result()
        if failure is not None:
            raise refusal or failure

    async def _upload(self) -> RefusedRequest | None:
        """Send the body to the app. Return the error if the client does not send the whole body, else None.

        After an error, the connection to the app is closed, so that the app does not treat the body as complete.
        """
        connection, body, chunked = self._connection, self._exchange.body, self._request.chunked
        self._exchange.send_continue()
        try:
            for piece in self._sent_pieces:
                await connection.write(piece)
            while piece := await body.read():
                self._relay.metrics.request_bytes += len(piece)
                if connection.is_reused:
                    self._sent_pieces.append(piece)
                if not await connection.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece):
                    return None
        except BodyTruncatedError as error:
            connection.close()
            return RefusedRequest(str(error), status=400 if error.refusal is None else error.refusal.status)
        except ClientStalledError as error:
            connection.close()
            return RefusedRequest(f"the request body is not complete: {error}", status=408)
        if chunked:
            trailers = forwarded_trailers(body.trailers, self._exchange.headers)
            lines = "".join(f"{name}: {value}\r\n" for name, value in trailers)
            await connection.write(encode_text(f"0\r\n{lines}\r\n"))
        connection.end_request()
        return None

    async def _answer(self) -> None:
        head = await self._final_head()
        if head.status == 101 and not self._request.offers_upgrade:
            raise InvalidAppResponse("the app switched protocols, but the request did not offer an upgrade")
        # The request cannot be sent again, so these bytes are not needed while the response lasts.
        self._sent_pieces = []
        self._request.head = b""
        self._status = head.status
        self._first_byte_seconds = monotonic() - self._arrived_at
        if head.status == 101:
            await exchange_bytes(self._exchange, head, self._connection)
            return
        self._prepare_response(head)
        if self._relay.streams:
            await self._stream()
        else:
            await self._buffer()

    async def _final_head(self) -> ResponseHead:
        """Forward each interim head to the client, except 100 (Continue), and return the final response head."""
        exchange, timeout = self._exchange, self._relay.request_timeout
        connection, since = self._connection, self._arrived_at
        while (head := await connection.next_head(timeout, since)).status < 200 and head.status != 101:
            # The proxy sends 100 itself, since it needs the body in any case.
            if head.status != 100:
                exchange.send_interim(head.status, forwardable(head.headers), head.reason)
                await exchange.write(())
        return head

    def _prepare_response(self, head: ResponseHead) -> None:
        """From the app's ``head``, set the headers, the length and the compressor of the response."""
        headers = forwardable(head.headers)
        length = first(head.headers, "content-length")
        if self._relay.codings:
            outgoing, self._compressor = negotiate_compression(
                ResponseHead(status=head.status, headers=headers),
                method=self._exchange.method,
                accept_encoding=self._headers.get("accept-encoding", ""),
                codings=self._relay.codings,
            )
            headers = outgoing.headers
        # The length of a compressed body is not known before its end.
        self._length = int(length) if length and self._compressor is None else None
        # Only a chunked response can have trailers.
        is_chunked = self._length is None and self._relay.streams and self._exchange.version == "1.1"
        if is_chunked and (announced := announced_trailers(head.headers)):
            headers.append(("trailer", announced))
        if not first(headers, REQUEST_ID):
            headers.append((REQUEST_ID, self._request_id))
        # Nothing below needs the client's headers, and a stream may last for hours.
        self._headers = {}
        self._app_head = head
        self._response_headers = headers

    async def _stream(self) -> None:
        """Send the response as it arrives. Raises ResponseTooLarge if it exceeds the stream limit."""
        relay, connection, compressor = self._relay, self._connection, self._compressor
        opening = self._opening()
        if len(opening) <= relay.unlimited_size and compressor is None and connection.is_complete:
            # The usual case: the whole response is here, and it is too small for any cap or limit.
            self._begin(opening)
            self._app_bytes = len(opening)
            self._exchange.end(forwarded_trailers(connection.trailers, self._app_head.headers))
            return
        writer = PacedWriter(self._write, bandwidth=relay.bandwidth, shared=relay.total, limit=relay.stream_limit)
        held_before = 0.0
        try:
            fits = await writer.begin(opening, self._begin)
            while fits:
                if relay.is_capped:
                    held, held_before = writer.held_seconds - held_before, writer.held_seconds
                    # If there is a total cap, let other streams take their part of it before this one continues.
                    was_held = held > 0 and relay.total is None
                    connection.limit_read_ahead(writer.room(READ_HIGH_WATER), was_held=was_held)
                pieces = await connection.read(relay.idle_timeout)
                if not pieces:
                    break
                for piece in pieces if compressor is None else self._compress(pieces):
                    fits = fits and await writer.send(piece)
                # Free the memory of these pieces now, not when the next pieces arrive.
                del pieces, piece
            if fits and compressor is not None:
                fits = await writer.send(compressor.finish())
        finally:
            relay.metrics.throttled_seconds += writer.held_seconds
            self._app_bytes, self._held_seconds = writer.sent, writer.held_seconds
        if not fits:
            raise ResponseTooLarge(f"the response exceeds the stream limit of {relay.stream_limit} bytes")
        self._exchange.end(forwarded_trailers(connection.trailers, self._app_head.headers))

    def _opening(self) -> bytes:
        """Return the part of the body that has arrived. It is sent with the head, so most responses need one write."""
        pieces = self._connection.read_available()
        return b"".join(pieces if self._compressor is None else self._compress(pieces))

    def _begin(self, piece: Piece) -> None:
        headers, reason = self._response_headers, self._app_head.reason
        self._exchange.begin(self._status, headers, length=self._length, pieces=(piece,), reason=reason)

    def _write(self, piece: Piece) -> Awaitable[None]:
        return self._exchange.write((piece,))

    def _compress(self, pieces: list[memoryview]) -> list[bytes]:
        """Compress and flush ``pieces``, so that the client can decode them at once. Return the compressed pieces."""
        if self._compressor is None or not pieces:
            return []
        compressed_pieces = [self._compressor.compress(piece) for piece in pieces]
        compressed_pieces.append(self._compressor.flush())
        return compressed_pieces

    async def _buffer(self) -> None:
        """Send the response as one body. Raises ResponseTooLarge if it exceeds Lambda's limit."""
        exchange, compressor = self._exchange, self._compressor
        if exchange.method == "HEAD" or self._status in (204, 304):
            self._begin(b"")
            exchange.end()
            return
        body = bytearray()
        while pieces := await self._connection.read(self._relay.idle_timeout):
            for piece in pieces if compressor is None else self._compress(pieces):
                body += piece
            if max(len(body), self._length or 0) > BUFFERED_RESPONSE_LIMIT:
                raise ResponseTooLarge(
                    f"the response exceeds the limit of {BUFFERED_RESPONSE_LIMIT} bytes for a buffered response; "
                    "for larger responses, use AWS_LWA_INVOKE_MODE=response_stream"
                )
        if compressor is not None:
            body += compressor.finish()
        exchange.respond(self._status, self._response_headers, bytes(body), reason=self._app_head.reason)
        self._app_bytes = len(body)
        await exchange.write(())

    def _fail(self, error: Exception) -> None:
        """Turn ``error`` into a response, or cut off a response that has already begun."""
        exchange = self._exchange
        if isinstance(error, AdapterError):
            self._error, self._reason = error.name, str(error)
            self._is_clients_fault = isinstance(error, RefusedRequest)
            if not isinstance(error, RefusedRequest | AppNotServing):
                self._relay.metrics.upstream_errors[error.name] += 1
        elif isinstance(error, ClientStalledError):
            self._error, self._reason = "client stalled", str(error)
            self._is_clients_fault = True
        else:
            self._note_disconnect()
        if exchange.begun or not isinstance(error, AdapterError):
            exchange.cut()
            return
        self._status = error.status
        message = {"message": _public_message(error), "error": error.name, "requestId": self._request_id}
        headers = [("content-type", "application/json")]
        if isinstance(error, AppNotServing):
            headers.append(("retry-after", RETRY_AFTER))
        body = json.dumps(message).encode() + b"\n"
        self._error_bytes = 0 if exchange.method == "HEAD" else len(body)
        exchange.respond(error.status, headers, body)

    def _note_disconnect(self) -> None:
        is_ours = self._relay.is_cutting_off
        self._error = "cut off because the proxy ends" if is_ours else "client left"
        self._is_clients_fault = not is_ours

    def _log(self) -> None:
        """Log the request. A request that succeeded is logged only if the access log is on."""
        log, level = self._relay.log, self._level()
        if log.has_access_log or level != "info":
            # If other requests are in progress, some may end in the same turn of the event loop. Their lines are then
            # written together.
            log.log_request(self._log_fields(), level, _call_soon if self._relay.metrics.in_flight else None)

    def _level(self) -> str:
        """Return the level of the log line. A response of the app with status 5xx counts as an error."""
        if self._is_clients_fault:
            return "warn"
        return "error" if self._error or self._status >= 500 else "info"

    def _log_fields(self) -> dict[str, object]:
        """Return the fields of the log line, without the query, which may contain secrets."""
        fields: dict[str, object] = {
            "requestId": self._request_id,
            "method": self._exchange.method,
            "path": path_alone(self._exchange.target),
            "status": self._status,
            "bytes": self._app_bytes + self._error_bytes,
            "ms": tenths_of_ms(monotonic() - self._arrived_at),
        }
        if self._first_byte_seconds:
            fields["firstByteMs"] = tenths_of_ms(self._first_byte_seconds)
        if self._exchange.client:
            fields["client"] = self._exchange.client
        if self._trace_header and (trace := trace_of(self._trace_header)):
            fields["traceId"] = trace
        if self._held_seconds:
            fields["heldMs"] = round(self._held_seconds * 1000)
        if self._error:
            fields["error"] = self._error
        if self._reason:
            fields["reason"] = self._reason
        return fields


def _call_soon(callback: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_soon(callback)


def _public_message(error: AdapterError) -> str:
    """Return the message for the client, without the app's addresses and data. The log contains the cause."""
    if isinstance(error, RefusedRequest | AppNotServing):
        return str(error)
    if isinstance(error, AppUnreachable) and error.waited:
        return f"Bad Gateway: the app accepted no connection within {error.waited:.1f} s"
    return {502: "Bad Gateway", 504: "Gateway Timeout"}.get(error.status, "Internal Server Error")
