"""Sends recorded requests again: unchanged, edited, or in the other invoke mode. They are served like new requests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import orjson
import pybase64

from adapter.emulator.front_doors.front_door import FrontDoor
from adapter.emulator.inspector.detail import client_request, masked_event
from adapter.emulator.inspector.errors import RefusedAction
from adapter.emulator.inspector.in_process import exchange_for
from adapter.emulator.inspector.masking import MASK
from adapter.emulator.invoke_api.invoke_api import InvokeApi
from adapter.errors import ConfigurationError
from adapter.payload.headers import is_token, is_value
from adapter.payload.messages import Request

if TYPE_CHECKING:
    from adapter.emulator.front_doors.door_settings import DoorSettings, UrlSettings
    from adapter.emulator.inspector.masking import Masker
    from adapter.emulator.records.record import RequestRecord
    from adapter.emulator.requests import InvocationPipeline
    from adapter.payload.headers import Headers

_INVOKE = "/2015-03-31/functions/{}/invocations"
_STREAM = "/2021-11-15/functions/{}/response-streaming-invocations"
_MODES = ("buffered", "streaming")
# The maximum number of the inspector's own requests that are in progress, because each of them takes memory.
_MOST_IN_PROGRESS = 100


class Sender:
    """Sends requests to ``doors`` and to ``invoke_api``. Each request has a task of its own in ``group``.

    ``other_mode`` returns the pipeline of the function in the other invoke mode. It raises ConfigurationError if the
    function cannot run in both modes at the same time.
    """

    def __init__(
        self,
        settings: UrlSettings,
        doors: list[FrontDoor],
        invoke_api: InvokeApi,
        group: asyncio.TaskGroup,
        other_mode: Callable[[], InvocationPipeline],
    ) -> None:
        self._settings = settings
        self._doors = {door.door.rules.name: door for door in doors}
        self._invoke_api = invoke_api
        self._group = group
        self._other_mode = other_mode
        self._tasks: set[asyncio.Task[None]] = set()

    def replay(self, record: RequestRecord, mode: str | None) -> int:
        """Send the request of ``record`` again, and return the number of the new record.

        ``mode`` (``buffered`` or ``streaming``) replaces the invoke mode of the function and the mode of the front door
        or API. If ``mode`` is None, both stay the same. Raises RefusedAction if the request cannot be sent.
        """
        request = client_request(record)
        if request is None or not request.method:
            why = "its data was dropped to free memory, or the queue of asynchronous events started or retried it"
            raise RefusedAction(409, f"this invocation cannot be sent again, because {why}")
        if mode is not None and mode not in _MODES:
            raise RefusedAction(400, f"mode: {mode!r} is not a mode; use {' or '.join(_MODES)}")
        return self._send(record.door, request, record.number, mode)

    def send(self, fields: dict[str, Any], based_on: RequestRecord | None, masker: Masker) -> int:
        """Send the request or the event in ``fields``, and return the number of the new record.

        ``based_on`` is the record that the user has edited, or None. ``masker`` is the masker of that record. The masks
        in ``fields`` are replaced by the original values. Raises RefusedAction if the request cannot be sent.
        """
        number = based_on.number if based_on is not None else 0
        if "event" in fields:
            before = based_on.event if based_on is not None else b""
            original = orjson.loads(before) if before else None
            event = restored(fields["event"], masked_event(before, masker) if before else None, original)
            is_stream = self._settings.invoke_mode == "response_stream"
            return self._send("", self._invocation(orjson.dumps(event), streaming=is_stream), number)
        door = str(fields.get("door", ""))
        if door not in self._doors:
            raise RefusedAction(400, f"door: {door!r} is not open; use one of {', '.join(self._doors)}")
        return self._send(door, _edited_request(fields, based_on, masker), number)

    def _send(self, door: str, request: Request, replay_of: int, mode: str | None = None) -> int:
        if len(self._tasks) >= _MOST_IN_PROGRESS:
            limit = f"the limit of {_MOST_IN_PROGRESS} requests in progress is reached"
            raise RefusedAction(429, f"{limit}; wait until one ends")
        server = self._door_in_mode(door, mode) if door in self._doors else self._api_in_mode(mode)
        if not door and mode is not None:
            request = self._invocation(bytes(request.body), streaming=mode == "streaming")
        client = server.accept(exchange_for(request))
        client.record.replay_of = replay_of
        task = self._group.create_task(server.answer(client))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return client.record.number

    def cancel(self) -> None:
        """Cancel the requests in progress."""
        for task in self._tasks:
            task.cancel()

    def _invocation(self, event: bytes, *, streaming: bool) -> Request:
        name = quote(self._settings.config.dev_function_name or "local", safe="")
        headers = [("content-type", "application/json")]
        target = (_STREAM if streaming else _INVOKE).format(name)
        return Request(method="POST", target=target, headers=headers, body=event)

    def _door_in_mode(self, name: str, mode: str | None) -> FrontDoor:
        door = self._doors[name]
        # A recorded signature may have expired, and it does not match an edited request.
        settings: DoorSettings = replace(door.door, checks_signatures=False)
        pipeline = door.pipeline
        if mode is not None:
            if mode == "streaming" and not settings.rules.streams:
                raise RefusedAction(409, f"{settings.rules.title} cannot stream")
            settings.streaming = mode == "streaming"
            pipeline = self._pipeline_in_mode(mode, pipeline)
        return FrontDoor(pipeline, settings, door.notice)

    def _api_in_mode(self, mode: str | None) -> InvokeApi:
        api = self._invoke_api
        return api if mode is None else replace(api, pipeline=self._pipeline_in_mode(mode, api.pipeline))

    def _pipeline_in_mode(self, mode: str, pipeline: InvocationPipeline) -> InvocationPipeline:
        if (self._settings.invoke_mode == "response_stream") == (mode == "streaming"):
            return pipeline
        try:
            return self._other_mode()
        except ConfigurationError as error:
            raise RefusedAction(409, str(error)) from error


def _edited_request(fields: dict[str, Any], based_on: RequestRecord | None, masker: Masker) -> Request:
    """Return the request in ``fields``, with each masked value replaced by the real value from ``based_on``.

    Raises RefusedAction if the request is not valid or a mask remains.
    """
    original = client_request(based_on) if based_on is not None else None
    method, target = fields.get("method", "GET"), fields.get("target", "/")
    if not isinstance(method, str) or not is_token(method):
        raise RefusedAction(400, f"method: {method!r} is not an HTTP method such as GET")
    if original is not None and isinstance(target, str):
        target = _restored_target(target, masker.target(original.target), original.target)
    if not (isinstance(target, str) and target.startswith("/") and target.isascii() and target.isprintable()):
        raise RefusedAction(400, "target: must begin with / and contain only printable ASCII characters and no masks")
    if " " in target:
        raise RefusedAction(400, "target: contains a space; write %20")
    return Request(
        method=method,
        target=target,
        headers=_edited_headers(fields.get("headers", []), original, masker),
        body=_edited_body(fields, original, masker),
    )


def _restored_target(target: str, masked: str, original: str) -> str:
    pairs = dict(zip(masked.partition("?")[2].split("&"), original.partition("?")[2].split("&"), strict=False))
    path, mark, query = target.partition("?")
    return path + mark + "&".join(pairs.get(pair, pair) for pair in query.split("&"))


def _edited_headers(given: Any, original: Request | None, masker: Masker) -> Headers:
    if not isinstance(given, list) or not all(_is_pair(each) for each in given):
        raise RefusedAction(400, "headers: the value is not a list of pairs of strings")
    known = {}
    if original is not None:
        masked = [(name.lower(), value) for name, value in masker.headers(original.headers)]
        known = dict(zip(masked, [value for _, value in original.headers], strict=True))
    headers = []
    for name, value in given:
        value = known.get((name.lower(), value), value)
        if MASK in value:
            raise RefusedAction(400, f"header {name}: contains a mask; replace the mask by the real value")
        if not is_token(name) or not is_value(value):
            raise RefusedAction(400, f"header {name!r}: HTTP does not allow this name or this value")
        if name.lower() not in ("content-length", "transfer-encoding", "expect"):
            headers.append((name, value))
    return headers


def _is_pair(each: Any) -> bool:
    return isinstance(each, list) and len(each) == 2 and all(isinstance(part, str) for part in each)


def _edited_body(fields: dict[str, Any], original: Request | None, masker: Masker) -> bytes:
    text, encoded = fields.get("bodyText"), fields.get("bodyBase64")
    try:
        body = text.encode() if isinstance(text, str) else pybase64.b64decode(encoded or "", validate=True)
    except (ValueError, TypeError) as error:
        raise RefusedAction(400, "bodyBase64: is not base64") from error
    if original is not None and body == masker.data(bytes(original.body)):
        return bytes(original.body)
    if MASK.encode() in body:
        raise RefusedAction(400, "the body contains a mask; replace the mask by the real value")
    return body


def restored(edited: Any, masked: Any, original: Any) -> Any:
    """Return the JSON value ``edited``, with each mask replaced by the original value.

    ``masked`` is ``original`` with masks, and ``edited`` is ``masked`` with the user's changes. Each part of ``edited``
    that the user has not changed is replaced by the corresponding part of ``original``. Raises RefusedAction if a mask
    remains.
    """
    if edited == masked and masked is not None:
        return original
    if isinstance(edited, dict):
        is_same = isinstance(masked, dict) and isinstance(original, dict)
        return {
            key: restored(value, masked.get(key) if is_same else None, original.get(key) if is_same else None)
            for key, value in edited.items()
        }
    if isinstance(edited, list):
        pairs = list(zip(masked, original, strict=True)) if isinstance(masked, list) else []
        return [
            next((before for shown, before in pairs if shown == value), None) or restored(value, None, None)
            for value in edited
        ]
    if isinstance(edited, str) and MASK in edited:
        raise RefusedAction(400, "the event contains a mask; replace the mask by the real value")
    return edited
