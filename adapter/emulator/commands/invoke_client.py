"""A client of the Invoke APIs for the command line: it sends one request and writes the answer as it arrives."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from adapter.emulator.invoke_api.event_stream import CONTENT_TYPE, Decoder, InvalidEventStreamError
from adapter.emulator.recording.recorder import REPLAY_HEADER
from adapter.errors import ConfigurationError, InvokeFailed

if TYPE_CHECKING:
    from adapter.emulator.recording.replay import InvokeInput

_INVOKE = "/2015-03-31/functions/{}/invocations"
_STREAM = "/2021-11-15/functions/{}/response-streaming-invocations"


@dataclass(frozen=True, slots=True, kw_only=True)
class InvokeOptions:
    """The options of ``adapter invoke``. ``invocation_type`` is RequestResponse, Event or DryRun."""

    endpoint: str
    function: str
    stream: bool = False
    invocation_type: str = "RequestResponse"
    qualifier: str = ""
    client_context: str = ""
    tenant_id: str = ""
    log: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The result of one invocation. ``status`` is None if there was no answer; ``log`` is the end of the log.

    ``error`` is the type of a function error. ``failure`` is why the invocation was refused or its answer is not
    complete. Both are empty if there is none.
    """

    status: int | None = None
    failure: str = ""
    error: str = ""
    log: str = ""


def invoke(event: InvokeInput, options: InvokeOptions, write: Callable[[bytes], None]) -> Outcome:
    """Invoke the function; ``write`` gets the payload as it arrives, and may raise anything but an OSError.

    Raises InvokeFailed if the endpoint is not an Invoke API, and ConfigurationError if it is not a URL.
    """
    url = _url(event, options)
    try:
        return asyncio.run(_invoke(url, event, options, write))
    except aiohttp.ClientConnectorError as error:
        why = "its host is not known" if isinstance(error, aiohttp.ClientConnectorDNSError) else "nothing listens there"
        raise InvokeFailed(
            f"no answer from {options.endpoint} ({why}); start adapter dev, or name its Invoke APIs with --endpoint"
        ) from error
    except (OSError, aiohttp.ClientError) as error:
        return Outcome(failure=f"the answer broke off: {error}")


async def _invoke(url: URL, event: InvokeInput, options: InvokeOptions, write: Callable[[bytes], None]) -> Outcome:
    # An invocation may take 15 minutes, and the user can press Ctrl-C.
    timeout = aiohttp.ClientTimeout(total=None)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.post(url, data=event.event, headers=_headers(event, options)) as response,
    ):
        if response.status >= 400:
            # Every refusal of an Invoke API names its type.
            if "x-amzn-ErrorType" not in response.headers:
                raise InvokeFailed(
                    f"{options.endpoint} is not an Invoke API: it answers {response.status}. The Invoke APIs have a "
                    "port of their own, beside that of the front door; adapter dev shows it at its start"
                )
            return Outcome(status=response.status, failure=await _refusal(response))
        if response.content_type == CONTENT_TYPE:
            return await _streamed(response, write)
        return await _whole(response, write)


def _url(event: InvokeInput, options: InvokeOptions) -> URL:
    streams = options.stream or (event.was_streamed and options.invocation_type == "RequestResponse")
    path = (_STREAM if streams else _INVOKE).format(quote(options.function, safe=""))
    query = "?" + urlencode({"Qualifier": options.qualifier}) if options.qualifier else ""
    try:
        endpoint = URL(options.endpoint)
        if endpoint.scheme != "http" or not endpoint.host:
            raise ValueError
        return URL(f"{endpoint.origin()}{path}{query}", encoded=True)
    except ValueError:
        raise ConfigurationError(
            [f"--endpoint: {options.endpoint!r} is not the URL of a local Lambda, for example http://127.0.0.1:3001"]
        ) from None


def _headers(event: InvokeInput, options: InvokeOptions) -> CIMultiDict[str]:
    context = options.client_context or event.client_context
    headers = {
        "Content-Type": "application/json",
        "X-Amz-Invocation-Type": options.invocation_type,
        "X-Amz-Log-Type": "Tail" if options.log else "",
        "X-Amz-Client-Context": base64.b64encode(context.encode()).decode("ascii"),
        "X-Amz-Tenant-Id": options.tenant_id or event.tenant_id,
        REPLAY_HEADER: event.request_id,
    }
    return CIMultiDict((name, value) for name, value in headers.items() if value)


async def _refusal(response: aiohttp.ClientResponse) -> str:
    text = await response.read()
    try:
        body = json.loads(text)
        message = body.get("Message") or body.get("message") or ""
    except (ValueError, AttributeError):
        message = text.decode(errors="replace")
    return f"{response.status} {response.headers['x-amzn-ErrorType']}: {message}"


async def _whole(response: aiohttp.ClientResponse, write: Callable[[bytes], None]) -> Outcome:
    write(await response.read())
    return Outcome(
        status=response.status,
        error=response.headers.get("X-Amz-Function-Error", ""),
        log=_decoded(response.headers.get("X-Amz-Log-Result", "")),
    )


async def _streamed(response: aiohttp.ClientResponse, write: Callable[[bytes], None]) -> Outcome:
    decoder = Decoder()
    complete: dict[str, str] | None = None
    try:
        async for data in response.content.iter_any():
            for message in decoder.feed(data):
                if message.headers.get(":event-type") == "PayloadChunk":
                    write(message.payload)
                else:
                    complete = json.loads(message.payload)
        decoder.close()
    except InvalidEventStreamError as error:
        return Outcome(status=response.status, failure=f"the answer is not an event stream: {error}")
    if complete is None:
        return Outcome(status=response.status, failure="the stream ended without InvokeComplete")
    return Outcome(
        status=response.status, error=complete.get("ErrorCode", ""), log=_decoded(complete.get("LogResult", ""))
    )


def _decoded(log: str) -> str:
    return base64.b64decode(log).decode(errors="replace")
