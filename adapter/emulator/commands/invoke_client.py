"""A client of the Invoke APIs for the command line: one request, its answer written as it comes."""

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
    """How to invoke. ``invocation_type`` is RequestResponse, Event or DryRun."""

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
    """How it went. ``status`` is None where no answer came; ``log`` is the tail of the log.

    ``error`` names a function error. ``failure`` says why the invocation was refused, or its answer is not a whole one.
    Both are empty where there is none.
    """

    status: int | None = None
    failure: str = ""
    error: str = ""
    log: str = ""


def invoke(question: InvokeInput, manner: InvokeOptions, write: Callable[[bytes], None]) -> Outcome:
    """Invoke the function; its payload goes to ``write`` as it comes, which may raise anything but an OSError.

    Raises InvokeFailed where there is no Invoke API, ConfigurationError for an endpoint that is no URL.
    """
    url = _url(question, manner)
    try:
        return asyncio.run(_invoke(url, question, manner, write))
    except aiohttp.ClientConnectorError as error:
        why = "its host is not known" if isinstance(error, aiohttp.ClientConnectorDNSError) else "nobody listens there"
        raise InvokeFailed(
            f"no answer from {manner.endpoint} ({why}); start adapter dev, or name its Invoke APIs with --endpoint"
        ) from error
    except (OSError, aiohttp.ClientError) as error:
        return Outcome(failure=f"the answer broke off: {error}")


async def _invoke(url: URL, question: InvokeInput, manner: InvokeOptions, write: Callable[[bytes], None]) -> Outcome:
    # An invocation may take 15 minutes, and whoever waits can press Ctrl-C.
    timeout = aiohttp.ClientTimeout(total=None)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.post(url, data=question.event, headers=_headers(question, manner)) as response,
    ):
        if response.status >= 400:
            if _is_no_invoke_api(response):
                raise InvokeFailed(
                    f"{manner.endpoint} is no Invoke API: it answers {response.status}. "
                    "They are not where the front doors are; adapter dev says at its start where the Invoke APIs are"
                )
            return Outcome(status=response.status, failure=await _refusal(response))
        if response.content_type == CONTENT_TYPE:
            return await _streamed(response, write)
        return await _whole(response, write)


def _url(question: InvokeInput, manner: InvokeOptions) -> URL:
    streams = manner.stream or (question.was_streamed and manner.invocation_type == "RequestResponse")
    path = (_STREAM if streams else _INVOKE).format(quote(manner.function, safe=""))
    query = "?" + urlencode({"Qualifier": manner.qualifier}) if manner.qualifier else ""
    try:
        endpoint = URL(manner.endpoint)
        if endpoint.scheme != "http" or not endpoint.host:
            raise ValueError
        return URL(f"{endpoint.origin()}{path}{query}", encoded=True)
    except ValueError:
        raise ConfigurationError(
            [f"--endpoint: {manner.endpoint!r} is no local Lambda, which is at, for example, http://127.0.0.1:3001"]
        ) from None


def _is_no_invoke_api(response: aiohttp.ClientResponse) -> bool:
    """Whether something else listens there: every refusal of an Invoke API names its type."""
    return "x-amzn-ErrorType" not in response.headers


def _headers(question: InvokeInput, manner: InvokeOptions) -> CIMultiDict[str]:
    context = manner.client_context or question.client_context
    headers = {
        "Content-Type": "application/json",
        "X-Amz-Invocation-Type": manner.invocation_type,
        "X-Amz-Log-Type": "Tail" if manner.log else "",
        "X-Amz-Client-Context": base64.b64encode(context.encode()).decode("ascii"),
        "X-Amz-Tenant-Id": manner.tenant_id or question.tenant_id,
        REPLAY_HEADER: question.request_id,
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
