"""Lambda's Extensions API (2020-01-01), and the subscriptions of its Telemetry (2022-07-01) and Logs API (2020-08-15).

What a call may do is the environment's to say; here are the paths, the bodies and the answers.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import orjson

from adapter.emulator.environment.extensions import RefusedExtension
from adapter.emulator.platform_api import telemetry_records as telemetry_events
from adapter.emulator.platform_api.answers import JSON, Resources, accept, refuse, whole_body
from adapter.emulator.platform_api.subscription import LOGS, TELEMETRY, Api, parse_subscription
from adapter.emulator.settings import ACCOUNT_ID, FUNCTION_VERSION, HANDLER
from adapter.payload.headers import first

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from adapter.emulator.environment.environment import Environment
    from adapter.emulator.environment.extensions import Extension
    from adapter.emulator.platform_api.telemetry import Telemetry
    from adapter.emulator.settings import FunctionSettings
    from adapter.net.server import Exchange

_EXTENSION = "/2020-01-01/extension"


class ExtensionsApi:
    """Serves the extensions of one environment."""

    def __init__(self, environment: Environment, telemetry: Telemetry, settings: FunctionSettings) -> None:
        self._environment = environment
        self._telemetry = telemetry
        self._function_name = settings.name
        calls = {
            f"{_EXTENSION}/register": ("POST", self._register),
            f"{_EXTENSION}/event/next": ("GET", self._next),
            f"{_EXTENSION}/init/error": ("POST", self._init_error),
            f"{_EXTENSION}/exit/error": ("POST", self._exit_error),
            "/2022-07-01/telemetry": ("PUT", self._telemetry_subscription),
            "/2020-08-15/logs": ("PUT", self._logs_subscription),
        }
        self.resources: Resources = {path: {method: _guarded(call)} for path, (method, call) in calls.items()}

    async def _register(self, exchange: Exchange) -> None:
        name = first(exchange.headers, "lambda-extension-name")
        if not name:
            raise RefusedExtension("Extension.InvalidExtensionName", "Empty extension name")
        extension = self._environment.extensions.register(name, _events(await whole_body(exchange) or b""))
        self._telemetry.emit(*telemetry_events.extension(name, "Registered", sorted(extension.events)))
        self._environment.condition.notify()
        function = {"functionName": self._function_name, "functionVersion": FUNCTION_VERSION, "handler": HANDLER}
        features = first(exchange.headers, "lambda-extension-accept-feature").split(",")
        if "accountId" in (feature.strip() for feature in features):
            function["accountId"] = ACCOUNT_ID
        exchange.respond(200, [JSON, ("Lambda-Extension-Identifier", extension.identifier)], orjson.dumps(function))

    async def _next(self, exchange: Exchange) -> None:
        extension = self._extension(exchange)
        coming = self._environment.extension_waits(extension)
        either: tuple[asyncio.Future[bytes] | asyncio.Future[None], ...] = (coming, exchange.disconnected)
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if coming.done():
            identifier = ("Lambda-Extension-Event-Identifier", extension.identifier)
            exchange.respond(200, [JSON, identifier], coming.result())
        else:
            self._environment.extension_lost(extension)

    async def _init_error(self, exchange: Exchange) -> None:
        await self._fail(exchange, "init_error")

    async def _exit_error(self, exchange: Exchange) -> None:
        await self._fail(exchange, "exit_error")

    async def _fail(self, exchange: Exchange, call: str) -> None:
        extension = self._extension(exchange)
        error_type = first(exchange.headers, "lambda-extension-function-error-type")
        if not error_type:
            raise RefusedExtension("Extension.MissingHeader", "Lambda-Extension-Function-Error-Type not found")
        await whole_body(exchange)
        self._environment.extension_failed(extension, call, error_type)
        accept(exchange)

    async def _telemetry_subscription(self, exchange: Exchange) -> None:
        await self._subscribe(exchange, TELEMETRY)

    async def _logs_subscription(self, exchange: Exchange) -> None:
        await self._subscribe(exchange, LOGS)

    async def _subscribe(self, exchange: Exchange, api: Api) -> None:
        extension = self._extension(exchange)
        body = await whole_body(exchange) or b""
        if self._telemetry.closed:
            raise RefusedExtension(api.closed_error, f"{api.name.capitalize()} API subscription is closed")
        if self._telemetry.api_of(extension.name) not in ("", api.name):
            refuse(exchange, (400, api.validation_error, "the extension has subscribed by the other API"))
            return
        try:
            subscription = parse_subscription(api, body)
        except ValueError as error:
            refuse(exchange, (400, api.validation_error, str(error)))
            return
        self._telemetry.subscribe(extension.name, subscription)
        exchange.respond(200, [JSON], b'"OK"')

    def _extension(self, exchange: Exchange) -> Extension:
        return self._environment.extensions.find(first(exchange.headers, "lambda-extension-identifier"))


def _events(body: bytes) -> list[Any]:
    """The events in a registration. Raises RefusedExtension."""
    try:
        registration = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RefusedExtension("InvalidRequestFormat", str(error)) from None
    events = registration.get("events") or [] if isinstance(registration, dict) else None
    if not isinstance(events, list):
        raise RefusedExtension("InvalidRequestFormat", "the body is not an object with a list of events")
    if registration.get("configurationKeys"):
        raise RefusedExtension(
            "InvalidRequestFormat", "configurationKeys are deprecated; use environment variables instead"
        )
    return events


def _guarded(call: Callable[[Exchange], Awaitable[None]]) -> Callable[[Exchange], Awaitable[None]]:
    """``call``, where a refusal becomes a 403."""

    async def guarded(exchange: Exchange) -> None:
        try:
            await call(exchange)
        except RefusedExtension as refusal:
            refuse(exchange, (403, refusal.error_type, str(refusal)))

    return guarded
