"""Lambda's Extensions API (2020-01-01), and how extensions subscribe to the Telemetry API and the Logs API.

``ApiState`` decides which requests are legal. This module handles the paths, the bodies and the responses.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson

from adapter.aws.identity import ACCOUNT_ID, FUNCTION_VERSION
from adapter.aws.limits import BUFFERED_RESPONSE_LIMIT
from adapter.emulator.environment.extensions import RefusedExtension
from adapter.emulator.environment.state_tables import ExtensionEvent
from adapter.emulator.function_settings import HANDLER
from adapter.emulator.platform_api.api_server import JSON, Resources, accept, refuse
from adapter.emulator.platform_api.subscription import (
    LOGS,
    MANAGED_INSTANCES_TELEMETRY,
    TELEMETRY,
    Api,
    parse_subscription,
)
from adapter.payload.headers import first

if TYPE_CHECKING:
    from adapter.emulator.environment.api_state import ApiState
    from adapter.emulator.environment.extensions import Extension
    from adapter.emulator.function_settings import FunctionSettings
    from adapter.emulator.platform_api.telemetry import Telemetry
    from adapter.net.server import Exchange

_EXTENSION = "/2020-01-01/extension"
_TELEMETRY = "/2022-07-01/telemetry"


class ExtensionsApi:
    """Serves the requests of the extensions of one environment."""

    def __init__(self, state: ApiState, telemetry: Telemetry, settings: FunctionSettings) -> None:
        self._state = state
        self._telemetry = telemetry
        self._function_name = settings.name
        self.resources: Resources = {
            f"{_EXTENSION}/register": {"POST": self._register},
            f"{_EXTENSION}/event/next": {"GET": self._next},
            f"{_EXTENSION}/init/error": {"POST": partial(self._fail, ExtensionEvent.INIT_ERROR)},
            f"{_EXTENSION}/exit/error": {"POST": partial(self._fail, ExtensionEvent.EXIT_ERROR)},
        }
        if settings.max_concurrency > 1:
            self.resources[_TELEMETRY] = {"PUT": partial(self._subscribe, MANAGED_INSTANCES_TELEMETRY)}
        else:
            self.resources[_TELEMETRY] = {"PUT": partial(self._subscribe, TELEMETRY)}
            self.resources["/2020-08-15/logs"] = {"PUT": partial(self._subscribe, LOGS)}

    async def _register(self, exchange: Exchange) -> None:
        name = first(exchange.headers, "lambda-extension-name")
        if not name:
            raise RefusedExtension("Extension.InvalidExtensionName", "Empty extension name")
        body = await exchange.read_body(BUFFERED_RESPONSE_LIMIT)
        extension = self._state.register_extension(name, _events(body or b""))
        self._telemetry.emit_platform("extension", name=name, state="Registered", events=sorted(extension.events))
        function = {"functionName": self._function_name, "functionVersion": FUNCTION_VERSION, "handler": HANDLER}
        features = first(exchange.headers, "lambda-extension-accept-feature").split(",")
        if "accountId" in (feature.strip() for feature in features):
            function["accountId"] = ACCOUNT_ID
        exchange.respond(200, [JSON, ("Lambda-Extension-Identifier", extension.identifier)], orjson.dumps(function))

    async def _next(self, exchange: Exchange) -> None:
        extension = self._extension(exchange)
        poll = self._state.next_event(extension)
        either: tuple[asyncio.Future[bytes] | asyncio.Future[None], ...] = (poll, exchange.disconnected)
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if poll.done():
            identifier = ("Lambda-Extension-Event-Identifier", extension.identifier)
            exchange.respond(200, [JSON, identifier], poll.result())
        else:
            self._state.disconnect_extension(extension)

    async def _fail(self, event: ExtensionEvent, exchange: Exchange) -> None:
        extension = self._extension(exchange)
        error_type = first(exchange.headers, "lambda-extension-function-error-type")
        if not error_type:
            raise RefusedExtension("Extension.MissingHeader", "Lambda-Extension-Function-Error-Type not found")
        await exchange.read_body(BUFFERED_RESPONSE_LIMIT)
        self._state.fail_extension(extension, event, error_type)
        accept(exchange)

    async def _subscribe(self, api: Api, exchange: Exchange) -> None:
        extension = self._extension(exchange)
        body = await exchange.read_body(BUFFERED_RESPONSE_LIMIT) or b""
        if self._telemetry.is_closed:
            raise RefusedExtension(api.closed_error, f"{api.name.capitalize()} API subscription is closed")
        other = self._telemetry.api_of(extension.name)
        if other not in ("", api.name):
            message = f"the extension has already subscribed through the {other.capitalize()} API"
            refuse(exchange, (400, api.validation_error, message))
            return
        try:
            subscription = parse_subscription(api, body)
        except ValueError as error:
            refuse(exchange, (400, api.validation_error, str(error)))
            return
        self._telemetry.subscribe(extension.name, subscription)
        exchange.respond(200, [JSON], b'"OK"')

    def _extension(self, exchange: Exchange) -> Extension:
        return self._state.extensions.find(first(exchange.headers, "lambda-extension-identifier"))


def _events(body: bytes) -> list[Any]:
    """Return the list of events in ``body``, the body of an extension's registration.

    Raises RefusedExtension if the body is not valid.
    """
    try:
        registration = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RefusedExtension("InvalidRequestFormat", str(error)) from None
    events = registration.get("events") or [] if isinstance(registration, dict) else None
    if not isinstance(events, list):
        raise RefusedExtension("InvalidRequestFormat", "the body is not a JSON object, or its events are not a list")
    if registration.get("configurationKeys"):
        raise RefusedExtension(
            "InvalidRequestFormat", "configurationKeys are deprecated; use environment variables instead"
        )
    return events
