"""One request: client → app → client, as a throttled stream or as one buffered payload.

Errors become responses in one place. Once a response has begun there can be no second one: it is cut, so that the
client can tell it from a complete one. A client that goes away cancels the request, and so the app's.
"""

from __future__ import annotations

import asyncio
import json
from time import monotonic
from typing import TYPE_CHECKING

from adapter.aws.limits import BUFFERED_RESPONSE_LIMIT
from adapter.errors import (
    AdapterError,
    AppNotServing,
    AppTimeout,
    InvalidAppResponse,
    RefusedRequest,
    ResponseTooLarge,
)
from adapter.net.compression import available_codings, compressed
from adapter.net.paced_writer import PacedWriter
from adapter.net.server import BodyTruncatedError, ClientStalledError
from adapter.net.token_bucket import TokenBucket
from adapter.payload.headers import first, forwardable
from adapter.payload.messages import ResponseHead
from adapter.payload.request_target import path_alone
from adapter.proxy.forwarded import REQUEST_ID, request_id_of
from adapter.proxy.forwarding import ForwardedRequest, ForwardingRules, forwarded_request, forwarded_trailers
from adapter.proxy.upgrade import exchange_bytes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import TypeVar

    from adapter.config.load import Config
    from adapter.logs import Log
    from adapter.net.compression import Compressor
    from adapter.net.server import Exchange
    from adapter.proxy.metrics import Metrics
    from adapter.proxy.upstream import Upstream, UpstreamConnection

    T = TypeVar("T")

# What a client is told to wait before it asks again while the app is not ready, in seconds.
RETRY_AFTER = "1"


class RequestRelay:
    """Relays requests to ``upstream``. ``ready`` tells whether the app may be asked.

    ``is_cutting`` tells whether it is the proxy that ends connections, and not their clients.
    """

    def __init__(
        self,
        config: Config,
        *,
        upstream: Upstream,
        metrics: Metrics,
        log: Log,
        ready: Callable[[], bool],
        is_cutting: Callable[[], bool] = lambda: False,
    ) -> None:
        self._upstream = upstream
        self._metrics = metrics
        self._log = log
        self._ready = ready
        self._is_cutting = is_cutting
        self._rules = ForwardingRules(config)
        self._streams = config.invoke_mode != "buffered"
        self._codings = available_codings() if config.compression else {}
        self._bandwidth = config.bandwidth
        self._total = None if config.total_bandwidth is None else TokenBucket(config.total_bandwidth)
        self._stream_limit = config.stream_limit or None
        self._request_timeout = config.request_timeout
        self._idle_timeout = config.idle_timeout

    async def serve(self, exchange: Exchange) -> None:
        """Answer one request; never raises but for its own cancellation."""
        visit = _Visit(exchange)
        self._metrics.in_flight += 1
        try:
            await self._serve(exchange, visit)
        except (AdapterError, ConnectionError) as error:
            self._fail(exchange, visit, error)
        except asyncio.CancelledError:
            visit.error = self._who_left()
            raise
        except Exception:
            from traceback import format_exc  # only a fault needs it

            self._log.error(f"a fault of the adapter: {format_exc()}", requestId=visit.request_id)
            self._fail(exchange, visit, AdapterError("a fault of the adapter; its log has the details"))
        finally:
            self._metrics.in_flight -= 1
            self._account(exchange, visit)

    async def _serve(self, exchange: Exchange, visit: _Visit) -> None:
        if not self._ready():
            raise AppNotServing("the app is not ready")
        request = forwarded_request(
            exchange, self._rules, request_id=visit.request_id, default_host=self._upstream.address.host_header
        )
        connection = await self._upstream.connection()
        try:
            connection.begin(exchange.method, request.head)
            if request.has_body:
                await self._converse(exchange, request, connection, visit)
            else:
                connection.end_request()
                await self._answer(exchange, request, connection, visit)
        finally:
            self._upstream.release(connection)

    async def _converse(
        self, exchange: Exchange, request: ForwardedRequest, connection: UpstreamConnection, visit: _Visit
    ) -> None:
        """Send the body while waiting for the response, which may come before the app has read everything.

        Raises RefusedRequest where the client does not send all of it.
        """
        failure: Exception | None = None
        async with asyncio.TaskGroup() as group:
            upload = group.create_task(self._upload(exchange, request, connection))
            try:
                await self._answer(exchange, request, connection, visit)
            except (AdapterError, ConnectionError) as error:
                # Raised within the group it would come out wrapped.
                failure = error
            upload.cancel()
        refusal = None if upload.cancelled() else upload.result()
        if failure is not None:
            raise refusal or failure

    async def _upload(
        self, exchange: Exchange, request: ForwardedRequest, connection: UpstreamConnection
    ) -> RefusedRequest | None:
        """Send the body; gives what is wrong with it, after hanging up on the app, which must not take it for whole."""
        exchange.send_continue()
        body = exchange.body
        try:
            while piece := await body.read():
                self._metrics.request_bytes += len(piece)
                framed = b"%x\r\n%b\r\n" % (len(piece), piece) if request.chunked else piece
                if not await connection.write(framed):
                    return None
        except BodyTruncatedError:
            connection.close()
            return RefusedRequest("the request body is not complete", status=400)
        except ClientStalledError as error:
            connection.close()
            return RefusedRequest(f"the request body is not complete: {error}", status=408)
        if request.chunked:
            lines = "".join(f"{name}: {value}\r\n" for name, value in forwarded_trailers(body.trailers))
            await connection.write(f"0\r\n{lines}\r\n".encode())
        connection.end_request()
        return None

    async def _answer(
        self, exchange: Exchange, request: ForwardedRequest, connection: UpstreamConnection, visit: _Visit
    ) -> None:
        head = await self._within(self._request_timeout, self._final_head(exchange, connection), "begin to answer")
        if head.status == 101 and not request.offers_upgrade:
            raise InvalidAppResponse("the app switched protocols unasked")
        visit.status = head.status
        visit.first_byte = monotonic() - visit.arrived
        if head.status == 101:
            await exchange_bytes(exchange, head, connection)
            return
        length = _content_length(head)
        outgoing = ResponseHead(status=head.status, headers=forwardable(head.headers))
        compressor = None
        if self._codings:
            accepted = first(exchange.headers, "accept-encoding")
            outgoing, compressor = compressed(
                outgoing, method=exchange.method, accept_encoding=accepted, codings=self._codings
            )
        if not first(outgoing.headers, REQUEST_ID):
            outgoing.headers.append((REQUEST_ID, visit.request_id))
        if compressor is not None:
            # It was that of the body as the app has it.
            length = None
        if self._streams:
            await self._stream(exchange, connection, visit, _Response(outgoing, length, compressor))
        else:
            await self._buffer(exchange, connection, visit, _Response(outgoing, length, compressor))

    async def _final_head(self, exchange: Exchange, connection: UpstreamConnection) -> ResponseHead:
        """The response head, after passing on the interim ones."""
        while (head := await connection.interim()).status < 200 and head.status != 101:
            # 100 is answered by the proxy itself, which has to ask for the body in any case.
            if head.status != 100:
                exchange.send_interim(head.status, forwardable(head.headers))
                await exchange.write(())
        return head

    async def _stream(
        self, exchange: Exchange, connection: UpstreamConnection, visit: _Visit, response: _Response
    ) -> None:
        writer = PacedWriter(
            lambda piece: exchange.write((piece,)),
            bandwidth=self._bandwidth,
            clock=monotonic,
            sleep=asyncio.sleep,
            shared=self._total,
            limit=self._stream_limit,
        )
        try:
            # What came with the head goes out with the head: one write for most responses.
            opening = b"".join(response.encoded(connection.take()))
            granted = await writer.grant(len(opening)) if opening and self._stream_limit is None else 0
            writer.sent = granted
            exchange.begin(
                response.head.status, response.head.headers, length=response.length, pieces=(opening[:granted],)
            )
            await self._send(opening[granted:], writer)
            while pieces := await self._within(self._idle_timeout, connection.read(), "go on with its response"):
                for piece in response.encoded(pieces):
                    await self._send(piece, writer)
            await self._send(response.rest(), writer)
        finally:
            self._metrics.throttled_seconds += writer.held_seconds
            visit.sent, visit.held = writer.sent, writer.held_seconds
        exchange.end(forwardable(connection.trailers))

    async def _send(self, piece: bytes | memoryview, writer: PacedWriter) -> None:
        if not await writer.send(piece):
            raise ResponseTooLarge(f"the response is over the stream limit of {self._stream_limit} bytes")

    async def _buffer(
        self, exchange: Exchange, connection: UpstreamConnection, visit: _Visit, response: _Response
    ) -> None:
        if exchange.method == "HEAD" or response.head.status in (204, 304):
            exchange.begin(response.head.status, response.head.headers, length=response.length)
            exchange.end()
            return
        body = bytearray()
        while pieces := await self._within(self._idle_timeout, connection.read(), "go on with its response"):
            for piece in response.encoded(pieces):
                body += piece
            if len(body) > BUFFERED_RESPONSE_LIMIT or (response.length or 0) > BUFFERED_RESPONSE_LIMIT:
                raise ResponseTooLarge(
                    f"the response is over the limit of {BUFFERED_RESPONSE_LIMIT} bytes for a buffered one; "
                    "AWS_LWA_INVOKE_MODE=response_stream has none"
                )
        body += response.rest()
        exchange.respond(response.head.status, response.head.headers, bytes(body))
        visit.sent = len(body)
        await exchange.write(())

    async def _within(self, seconds: float | None, awaited: Awaitable[T], what: str) -> T:
        if seconds is None:
            return await awaited
        try:
            async with asyncio.timeout(seconds):
                return await awaited
        except TimeoutError:
            raise AppTimeout(f"the app did not {what} within {seconds:g} s") from None

    def _fail(self, exchange: Exchange, visit: _Visit, error: Exception) -> None:
        """Turn an error into a response, or into the end of one that has begun."""
        if isinstance(error, AdapterError):
            visit.error, visit.reason = error.name, str(error)
            if not isinstance(error, RefusedRequest | AppNotServing):
                self._metrics.upstream_errors[error.name] += 1
        elif isinstance(error, ClientStalledError):
            visit.error, visit.reason = "client stalled", str(error)
        else:
            visit.error = self._who_left()
        if exchange.begun or not isinstance(error, AdapterError):
            exchange.cut()
            return
        visit.status = error.status
        body = {"message": _public_message(error), "error": error.name, "requestId": visit.request_id}
        headers = [("content-type", "application/json")]
        if isinstance(error, AppNotServing):
            headers.append(("retry-after", RETRY_AFTER))
        text = json.dumps(body).encode() + b"\n"
        visit.own = 0 if exchange.method == "HEAD" else len(text)
        exchange.respond(error.status, headers, text)

    def _who_left(self) -> str:
        return "cut off, the proxy ends" if self._is_cutting() else "client left"

    def _account(self, exchange: Exchange, visit: _Visit) -> None:
        metrics = self._metrics
        metrics.requests[exchange.method, f"{visit.status // 100}xx"] += 1
        metrics.response_bytes += visit.sent
        if visit.first_byte:
            metrics.first_byte(visit.first_byte)
        self._log.log_request(visit.fields(exchange))


class _Response:
    """A response on its way to the client: its head, its length if that is known, and how its body is encoded."""

    __slots__ = ("_compressor", "head", "length")

    def __init__(self, head: ResponseHead, length: int | None, compressor: Compressor | None) -> None:
        self.head = head
        self.length = length
        self._compressor = compressor

    def encoded(self, pieces: list[memoryview]) -> list[bytes | memoryview]:
        """``pieces`` as they go out, so that the client can decode all that has arrived."""
        if self._compressor is None or not pieces:
            return list(pieces)
        encoded: list[bytes | memoryview] = [self._compressor.compress(piece) for piece in pieces]
        encoded.append(self._compressor.flush())
        return encoded

    def rest(self) -> bytes:
        """What follows the last piece: the end of the coding."""
        return b"" if self._compressor is None else self._compressor.finish()


class _Visit:
    """What is known of a request so far, for its line in the log and for the metrics."""

    __slots__ = ("arrived", "error", "first_byte", "held", "own", "reason", "request_id", "sent", "status")

    def __init__(self, exchange: Exchange) -> None:
        self.arrived = monotonic()
        self.first_byte = 0.0
        self.held = 0.0
        self.sent = 0
        # Body bytes of an answer that is the proxy's and not the app's.
        self.own = 0
        self.status = 0
        self.error = ""
        self.reason = ""
        self.request_id = request_id_of(exchange.headers)

    def fields(self, exchange: Exchange) -> dict[str, object]:
        """The fields of the access line; no query, since secrets travel in it."""
        fields: dict[str, object] = {
            "requestId": self.request_id,
            "method": exchange.method,
            "path": path_alone(exchange.target),
            "status": self.status,
            "bytes": self.sent + self.own,
            "ms": round((monotonic() - self.arrived) * 1000, 1),
        }
        if self.held:
            fields["heldMs"] = round(self.held * 1000)
        if self.error:
            fields["error"] = self.error
        if self.reason:
            fields["reason"] = self.reason
        return fields


def _content_length(head: ResponseHead) -> int | None:
    value = first(head.headers, "content-length")
    return int(value) if value else None


def _public_message(error: AdapterError) -> str:
    """What a client may know: no addresses, nothing of the app's; the log has the cause under the request id."""
    if isinstance(error, RefusedRequest | AppNotServing):
        return str(error)
    return (
        "Gateway Timeout" if error.status == 504 else "Bad Gateway" if error.status == 502 else "Internal Server Error"
    )
