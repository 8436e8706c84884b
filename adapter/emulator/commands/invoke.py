"""``adapter invoke``: invokes the function with events, writes the answers, and compares them with recorded answers.

The command is a client of the Invoke APIs. It sends one request for each event and writes each answer as it arrives.
"""

from __future__ import annotations

import asyncio
import base64
import errno
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
import click
from multidict import CIMultiDict
from yarl import URL

from adapter.config.load import read
from adapter.emulator.commands.payload_view import PayloadView
from adapter.emulator.front_doors.door_settings import UrlSettings
from adapter.emulator.function_settings import FUNCTION_NAME
from adapter.emulator.invoke_api.event_stream import CONTENT_TYPE, Decoder, InvalidEventStreamError
from adapter.emulator.recording.recordings import REPLAY_HEADER, InvokeInput, answer_status, event_files, read_input
from adapter.emulator.terminal.banner import local_url
from adapter.errors import ConfigurationError, InvokeFailed
from adapter.logs import visible, write_error
from adapter.payload.event import PASS_THROUGH
from adapter.payload.formats.pass_through import APP_STATUS, read_app_status

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
    fail_on_status: bool = False

    @property
    def shown_endpoint(self) -> str:
        """The endpoint as messages show it: without the user name and the password that a URL can contain."""
        return re.sub(r"//[^/]*@", "//", self.endpoint)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The result of one invocation.

    ``status`` is the HTTP status, None if the connection failed. ``error`` is the type of a function error; it is empty
    if the function has not failed. ``failure`` describes why the invocation was refused or why the answer is not
    complete; otherwise it is empty. ``log`` is the last part of the function's log, or empty if no log was requested.
    ``app_status`` is the status of the app and the path of its request, for example ``404 /events``. It is set only for
    events that are not HTTP requests; it is empty if the status is unknown.
    """

    status: int | None = None
    failure: str = ""
    error: str = ""
    log: str = ""
    app_status: str = ""

    @property
    def lost_event(self) -> str:
        """A warning if the app answered a pass-through event with status 300 or higher; otherwise an empty string."""
        return PASS_THROUGH.lost_event_text(*read_app_status(self.app_status))


def run(
    environ: Mapping[str, str],
    events: tuple[str, ...],
    *,
    endpoint: str | None,
    function: str | None,
    body: bool,
    **options: Any,
) -> int:
    """Invoke the function with each event in order; return the exit code.

    The code is 1 if an event cannot be used, if an invocation failed or was refused, or if an answer differs from the
    recorded answer. If the option ``fail_on_status`` is set, the code is also 1 if the app's status reports an error.

    Payloads are written to stdout unchanged. If stdout is a terminal, the head of a streamed response is written to
    stderr instead. If ``body`` is True, only the body of an HTTP response is written, without its head. If ``endpoint``
    is None, the variables in ``environ`` determine the address, as they do for ``adapter dev``.

    Raises ConfigurationError if an option cannot be used or a file in ``events`` cannot be read. Raises InvokeFailed if
    the endpoint cannot be reached or is not an Invoke API.
    """
    # The variables belong to adapter dev, which reports mistakes in them itself.
    settings = UrlSettings(read(environ)[0], with_access=False)
    invoke_options = InvokeOptions(
        endpoint=endpoint or local_url(settings.host, settings.invoke_port).rstrip("/"),
        function=function or settings.config.dev_function_name or FUNCTION_NAME,
        **options,
    )
    return _invoke_all(event_files(events), invoke_options, only_body=body)


def _invoke_all(files: list[str], options: InvokeOptions, *, only_body: bool) -> int:
    """Invoke the function with the event in each file, and return the exit code. Continue if an invocation fails.

    Raises InvokeFailed if the endpoint cannot be reached or is not an Invoke API, because all further events would fail
    as well.
    """
    code = 0
    for number, file in enumerate(files):
        try:
            event = read_input(file)
        except ConfigurationError as error:
            write_error(str(error))
            code = 1
            continue
        try:
            code = max(code, _invoke_one(event, options, only_body=only_body))
        except InvokeFailed as error:
            left = f"; {len(files) - number} of {len(files)} events were not sent" if len(files) > 1 else ""
            raise InvokeFailed(f"{error}{left}") from error
    return code


def _invoke_one(event: InvokeInput, options: InvokeOptions, *, only_body: bool) -> int:
    on_terminal = sys.stdout.isatty()
    show_head = (lambda _head: None) if only_body else partial(click.echo, err=True)
    view = PayloadView(_write, show_head, decodes_whole=only_body) if only_body or on_terminal else None
    received = bytearray()

    def take(piece: bytes) -> None:
        received.extend(piece)
        (_write if view is None else view.feed)(piece)

    outcome = invoke(event, options, take)
    if view is not None:
        view.end()
    lacks_newline = bool(received) and not received.endswith(b"\n")
    # A newline is added only on a terminal; a pipe receives exactly the payload.
    if on_terminal and lacks_newline:
        click.echo()
    difference = None
    if event.recorded is not None and options.invocation_type == "RequestResponse" and not outcome.failure:
        difference = event.difference(bytes(received))
    bad_status = _bad_status(outcome, received) if options.fail_on_status else ""
    lines = list(_result_lines(event, outcome, difference, options))
    lines += [f"adapter: {event.name}: {text}" for text in dict.fromkeys((outcome.lost_event, bad_status)) if text]
    if lines and not on_terminal and lacks_newline and _is_one_place():
        click.echo(err=True)
    for text in lines:
        # The function's log is one text with several lines.
        for line in text.split("\n"):
            click.echo("\t".join(map(visible, line.split("\t"))), err=True)
    return 1 if outcome.failure or outcome.error or difference or bad_status else 0


def _bad_status(outcome: Outcome, payload: bytearray) -> str:
    """Return a description of the app's status if the status reports an error, else an empty string."""
    if outcome.app_status:
        return outcome.lost_event
    status = answer_status(bytes(payload))
    if status is None or status < 400:
        return ""
    return f"the answer has the status {status}, which --fail-on-status counts as a failure"


def _is_one_place() -> bool:
    """Return True if stdout and stderr go to the same place, as with ``2>&1``."""
    return os.path.sameopenfile(sys.stdout.fileno(), sys.stderr.fileno())


def _write(piece: bytes) -> None:
    sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()


def _result_lines(
    event: InvokeInput, outcome: Outcome, difference: str | None, options: InvokeOptions
) -> Iterator[str]:
    """Yield the lines to write after an answer.

    ``difference`` describes how the answer differs from the recorded answer. It is empty if the two are equal, and None
    if they were not compared.
    """
    if outcome.log:
        yield outcome.log.rstrip("\n")
    if outcome.failure:
        yield f"adapter: {event.name}: {outcome.failure}"
    elif options.invocation_type != "RequestResponse":
        yield f"adapter: {event.name}: {options.invocation_type}: {outcome.status}"
    if outcome.error:
        yield f"adapter: {event.name}: function error: {outcome.error}"
    if difference is not None:
        comparison = f"differs from the recorded one: {difference}" if difference else "equals the recorded one"
        yield f"adapter: {event.name}: the answer {comparison}"


def invoke(event: InvokeInput, options: InvokeOptions, write: Callable[[bytes], None]) -> Outcome:
    """Invoke the function, and call ``write`` with each piece of the response payload.

    ``write`` must not raise OSError, because OSError is treated as a failure of the connection.

    Raises InvokeFailed if the endpoint cannot be reached or is not an Invoke API, and ConfigurationError if the
    endpoint is not an ``http`` URL.
    """
    url = _url(event, options)
    try:
        return asyncio.run(_invoke(url, event, options, write))
    except aiohttp.ClientConnectorError as error:
        why = error.os_error.strerror or str(error.os_error)
        if isinstance(error, aiohttp.ClientConnectorDNSError):
            why = "the host name is not known"
        elif error.os_error.errno == errno.ECONNREFUSED:
            why = "nothing listens there"
        endpoint = options.shown_endpoint
        raise InvokeFailed(
            f"no answer from {endpoint} ({why}); start adapter dev, or set --endpoint to the address of its Invoke APIs"
        ) from error
    except (OSError, aiohttp.ClientError) as error:
        return Outcome(failure=f"the connection failed before the answer was complete: {error}")


async def _invoke(url: URL, event: InvokeInput, options: InvokeOptions, write: Callable[[bytes], None]) -> Outcome:
    # No timeout: an invocation may take 15 minutes, and the user can stop it with Ctrl-C.
    timeout = aiohttp.ClientTimeout(total=None)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.post(url, data=event.event, headers=_headers(event, options)) as response,
    ):
        if response.status >= 400:
            # An Invoke API sends this header with every error.
            if "x-amzn-ErrorType" not in response.headers:
                raise InvokeFailed(
                    f"{options.shown_endpoint} is not an Invoke API: it answers {response.status}. The Invoke APIs "
                    "have a different port than the front door; adapter dev shows both ports when it starts"
                )
            return Outcome(status=response.status, failure=await _refusal(response))
        if response.content_type == CONTENT_TYPE:
            return replace(await _streamed(response, write), app_status=response.headers.get(APP_STATUS, ""))
        write(await response.read())
        return Outcome(
            status=response.status,
            error=response.headers.get("X-Amz-Function-Error", ""),
            log=_decoded(response.headers.get("X-Amz-Log-Result", "")),
            app_status=response.headers.get(APP_STATUS, ""),
        )


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
            [f"--endpoint: {options.shown_endpoint!r} is not the URL of a local Lambda, such as http://127.0.0.1:3001"]
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
        return Outcome(status=response.status, failure="the stream ended without the event InvokeComplete")
    return Outcome(
        status=response.status, error=complete.get("ErrorCode", ""), log=_decoded(complete.get("LogResult", ""))
    )


def _decoded(log: str) -> str:
    return base64.b64decode(log).decode(errors="replace")
