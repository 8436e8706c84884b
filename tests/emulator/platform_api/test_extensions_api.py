"""The Extensions API, and the subscriptions of the Telemetry and Logs APIs: every answer, over real sockets."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from adapter.emulator.environment.api_state import ApiState
from adapter.emulator.environment.invocation import LocalInvocation
from adapter.emulator.environment.state_tables import ExtensionState
from adapter.emulator.function_settings import FunctionSettings
from adapter.emulator.platform_api.api_server import ApiServer
from adapter.emulator.platform_api.extensions_api import ExtensionsApi
from adapter.emulator.platform_api.runtime_api import RuntimeApi
from adapter.emulator.platform_api.telemetry import Telemetry
from tests.emulator.scripted import RUNTIME, ScriptedRuntime
from tests.raw_client import RawAnswer, head

EXTENSION = "/2020-01-01/extension"
IDENTIFIER = "Lambda-Extension-Identifier"
ERROR_TYPE = "Lambda-Extension-Function-Error-Type"
SUBSCRIPTION = {
    "schemaVersion": "2022-07-01",
    "types": ["platform"],
    "destination": {"protocol": "HTTP", "URI": "http://sandbox.localdomain:1"},
}


class Bench:
    """An environment with the external extension ``sidecar``, whose processes are the test."""

    def __init__(self, group: asyncio.TaskGroup, slots: int) -> None:
        self.group = group
        self.asking: list[asyncio.Task[RawAnswer]] = []
        self.apis = ApiState(slots=slots, external=["sidecar"])
        self.telemetry = Telemetry()
        self.telemetry.start(group)
        extensions = ExtensionsApi(self.apis, self.telemetry, FunctionSettings(name="shop", max_concurrency=slots))
        self.server = ApiServer(RuntimeApi(self.apis).resources | extensions.resources, group)
        self.client = ScriptedRuntime(self.server.port)

    async def register(self, name: str = "sidecar", *events: str) -> str:
        """Register; the identifier."""
        response = await self.client.call(
            "POST", f"{EXTENSION}/register", json.dumps({"events": events}).encode(), {"Lambda-Extension-Name": name}
        )
        assert response.status == 200, response
        identifier = response.header(IDENTIFIER)
        assert identifier is not None
        return identifier

    def next(self, identifier: str) -> asyncio.Task[RawAnswer]:
        """Ask for the next event."""
        call = self.client.call("GET", f"{EXTENSION}/event/next", b"", {IDENTIFIER: identifier})
        self.asking.append(self.group.create_task(call))
        return self.asking[-1]

    async def waits(self, identifier: str) -> asyncio.Task[RawAnswer]:
        """Ask for the next event, which is not there yet."""
        asking = self.next(identifier)
        extension = self.apis.extensions.find(identifier)
        await self.apis.condition.wait_for(lambda: extension.state is ExtensionState.READY)
        return asking


@asynccontextmanager
async def bench(slots: int = 1) -> AsyncIterator[Bench]:
    async with asyncio.TaskGroup() as group:
        b = Bench(group, slots)
        await b.server.start()
        try:
            yield b
        finally:
            for asking in b.asking:
                asking.cancel()
            b.telemetry.end()
            b.server.close()
            await b.client.close()


def refusal(response: RawAnswer) -> tuple[int, str]:
    return response.status, response.json()["errorType"]


async def test_a_registration_is_answered_with_the_function_and_an_identifier() -> None:
    async with bench() as b:
        headers = {"Lambda-Extension-Name": "sidecar", "Lambda-Extension-Accept-Feature": "accountId, other"}
        body = b'{"events": ["INVOKE", "SHUTDOWN"]}'
        response = await b.client.call("POST", f"{EXTENSION}/register", body, headers)
        assert len(str(uuid.UUID(response.header(IDENTIFIER)))) == 36
        function = {"functionName": "shop", "functionVersion": "$LATEST", "handler": "adapter"}
        assert (response.status, response.json()) == (200, function | {"accountId": "123456789012"})


@pytest.mark.parametrize(
    ("name", "body", "error_type"),
    [
        pytest.param("", b'{"events":[]}', "Extension.InvalidExtensionName", id="no-name"),
        pytest.param("x", b"[", "InvalidRequestFormat", id="no-json"),
        pytest.param("x", b"[]", "InvalidRequestFormat", id="no-object"),
        pytest.param("x", b'{"events":"INVOKE"}', "InvalidRequestFormat", id="no-list"),
        pytest.param("x", b'{"configurationKeys":["a"]}', "InvalidRequestFormat", id="configuration-keys"),
        pytest.param("x", b'{"events":["SHUTDOWN"]}', "Extension.InvalidEventType", id="internal-shutdown"),
        pytest.param("sidecar", b'{"events":["REBOOT"]}', "Extension.InvalidEventType", id="unknown-event"),
        pytest.param("sidecar", b'{"events":[{}]}', "Extension.InvalidEventType", id="event-that-is-no-name"),
    ],
)
async def test_an_invalid_registration_is_refused(name: str, body: bytes, error_type: str) -> None:
    async with bench() as b:
        headers = {"Lambda-Extension-Name": name} if name else {}
        response = await b.client.call("POST", f"{EXTENSION}/register", body, headers)
        assert refusal(response) == (403, error_type)


async def test_a_name_registers_once_external_or_not() -> None:
    async with bench() as b:
        for name in ("sidecar", "internal"):
            await b.register(name)
            again = await b.client.call("POST", f"{EXTENSION}/register", b"{}", {"Lambda-Extension-Name": name})
            assert refusal(again) == (403, "Extension.InvalidExtensionState")


async def test_there_are_ten_extensions_at_most_and_none_after_init() -> None:
    async with bench() as b:
        for number in range(9):
            await b.register(f"internal-{number}")
        headers = {"Lambda-Extension-Name": "one-more"}
        response = await b.client.call("POST", f"{EXTENSION}/register", b"{}", headers)
        assert refusal(response) == (403, "Extension.TooManyExtensions")
        b.apis.extensions.is_closed = True
        response = await b.client.call("POST", f"{EXTENSION}/register", b"{}", headers)
        assert refusal(response) == (403, "Extension.RegistrationClosed")


async def test_under_managed_instances_there_is_no_invoke_event() -> None:
    async with bench(slots=2) as b:
        headers = {"Lambda-Extension-Name": "sidecar"}
        response = await b.client.call("POST", f"{EXTENSION}/register", b'{"events":["INVOKE"]}', headers)
        assert refusal(response) == (403, "Extension.InvalidEventType")
        await b.register("sidecar", "SHUTDOWN")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        pytest.param("GET", f"{EXTENSION}/event/next", id="next"),
        pytest.param("POST", f"{EXTENSION}/init/error", id="init-error"),
        pytest.param("POST", f"{EXTENSION}/exit/error", id="exit-error"),
        pytest.param("PUT", "/2022-07-01/telemetry", id="telemetry"),
        pytest.param("PUT", "/2020-08-15/logs", id="logs"),
    ],
)
@pytest.mark.parametrize(
    ("headers", "error_type"),
    [
        pytest.param({}, "Extension.MissingExtensionIdentifier", id="missing"),
        pytest.param({IDENTIFIER: "x"}, "Extension.InvalidExtensionIdentifier", id="invalid"),
        pytest.param({IDENTIFIER: str(uuid.uuid4())}, "Extension.UnknownExtensionIdentifier", id="unknown"),
    ],
)
async def test_an_unknown_caller_is_refused(method: str, path: str, headers: dict[str, str], error_type: str) -> None:
    async with bench() as b:
        assert refusal(await b.client.call(method, path, b"{}", headers)) == (403, error_type)


async def test_the_environment_is_ready_when_all_wait_and_registered_extensions_receive_the_invocation() -> None:
    async with bench() as b:
        informed, other = await b.register("sidecar", "INVOKE"), await b.register("internal")
        runtime = await b.client.connect()
        await runtime.send(head("GET", f"{RUNTIME}/invocation/next", {}))
        await b.apis.condition.wait_for(lambda: b.apis.waiting_slots == 1)
        initialized = [b.apis.is_initialized]
        first = await b.waits(informed)
        initialized.append(b.apis.is_initialized)
        await b.waits(other)
        assert [*initialized, b.apis.is_initialized] == [False, False, True]
        invocation = LocalInvocation(
            label="", event=b"{}", request_id="r-1", trace_id="Root=1", invoked_function_arn="arn:x"
        )
        invocation.deadline_ms = 99
        b.apis.invoke(invocation)
        response = await first
        assert response.json() == {
            "eventType": "INVOKE",
            "deadlineMs": 99,
            "requestId": "r-1",
            "invokedFunctionArn": "arn:x",
            "tracing": {"type": "X-Amzn-Trace-Id", "value": "Root=1"},
        }
        await runtime.answer()
        await b.client.call("POST", f"{RUNTIME}/invocation/r-1/response", b"{}")
        await runtime.send(head("GET", f"{RUNTIME}/invocation/next", {}))
        await b.apis.condition.wait_for(lambda: b.apis.waiting_slots == 1)
        assert not b.apis.is_ready, "the extension is still at work"
        await b.waits(informed)
        assert b.apis.is_done_with(invocation)


async def test_an_extension_that_waits_cannot_ask_again_unless_it_disconnected() -> None:
    async with bench() as b:
        identifier = await b.register("sidecar", "INVOKE")
        client = await b.client.connect()
        await client.send(head("GET", f"{EXTENSION}/event/next", {IDENTIFIER: identifier}))
        extension = b.apis.extensions.find(identifier)
        await b.apis.condition.wait_for(lambda: extension.state is ExtensionState.READY)
        assert refusal(await b.next(identifier)) == (403, "Extension.InvalidExtensionState")
        client.abort()
        await b.apis.condition.wait_for(lambda: extension.state is ExtensionState.RUNNING)
        await b.waits(identifier)


async def test_extensions_that_registered_for_it_receive_the_shutdown_also_when_they_ask_late() -> None:
    async with bench() as b:
        identifier = await b.register("sidecar", "SHUTDOWN")
        waiting = await b.waits(identifier)
        b.apis.announce_shutdown("spindown", 1234)
        event = {"eventType": "SHUTDOWN", "shutdownReason": "spindown", "deadlineMs": 1234}
        assert (await waiting).json() == event
        assert (await b.next(identifier)).json() == event


@pytest.mark.parametrize("phase", ["init", "exit"])
async def test_an_extension_that_reports_an_error_breaks_the_environment(phase: str) -> None:
    async with bench() as b:
        identifier = await b.register()
        path = f"{EXTENSION}/{phase}/error"
        assert refusal(await b.client.call("POST", path, b"{}", {IDENTIFIER: identifier})) == (
            403,
            "Extension.MissingHeader",
        )
        headers = {IDENTIFIER: identifier, ERROR_TYPE: "Extension.NoConfig"}
        accepted = await b.client.call("POST", path, b"{}", headers)
        assert (accepted.status, accepted.json()) == (202, {"status": "OK"})
        assert b.apis.failure is not None
        assert b.apis.failure.error_type == f"Extension.{phase.capitalize()}Error"
        assert "Extension.NoConfig" in b.apis.failure.message
        assert (await b.client.call("POST", path, b"{}", headers)).status == 202, "once more is no harm"


async def test_an_init_error_after_init_is_refused() -> None:
    async with bench() as b:
        identifier = await b.register()
        await b.waits(identifier)
        headers = {IDENTIFIER: identifier, ERROR_TYPE: "Extension.Late"}
        response = await b.client.call("POST", f"{EXTENSION}/init/error", b"{}", headers)
        assert refusal(response) == (403, "Extension.InvalidExtensionState")


@pytest.mark.parametrize(
    ("path", "version", "closed"),
    [
        pytest.param("/2022-07-01/telemetry", "2022-07-01", "Telemetry.SubscriptionClosed", id="telemetry"),
        pytest.param("/2020-08-15/logs", "2020-08-15", "Logs.SubscriptionClosed", id="logs"),
    ],
)
async def test_a_subscription_is_taken_until_init_is_over(path: str, version: str, closed: str) -> None:
    body = json.dumps(SUBSCRIPTION | {"schemaVersion": version}).encode()
    async with bench() as b:
        identifier = await b.register()
        for _ in range(2):
            response = await b.client.call("PUT", path, body, {IDENTIFIER: identifier})
            assert (response.status, response.body) == (200, b'"OK"')
        b.telemetry.close()
        assert refusal(await b.client.call("PUT", path, body, {IDENTIFIER: identifier})) == (403, closed)


async def test_managed_instances_have_no_logs_api_and_one_schema_of_telemetry() -> None:
    async with bench(slots=2) as b:
        headers = {IDENTIFIER: await b.register()}
        for path, version, status in (
            ("/2020-08-15/logs", "2020-08-15", 404),
            ("/2022-07-01/telemetry", "2022-07-01", 400),
            ("/2022-07-01/telemetry", "2022-12-13", 400),
            ("/2022-07-01/telemetry", "2025-01-29", 200),
        ):
            body = json.dumps(SUBSCRIPTION | {"schemaVersion": version}).encode()
            assert (await b.client.call("PUT", path, body, headers)).status == status


async def test_a_subscription_that_is_wrong_is_refused_with_all_that_is_wrong() -> None:
    async with bench() as b:
        identifier = await b.register()
        body = json.dumps(SUBSCRIPTION | {"types": [], "schemaVersion": "1"}).encode()
        response = await b.client.call("PUT", "/2022-07-01/telemetry", body, {IDENTIFIER: identifier})
        assert refusal(response) == (400, "ValidationError")
        assert "types should not be empty" in response.json()["errorMessage"]
        assert "schemaVersion" in response.json()["errorMessage"]
        response = await b.client.call("PUT", "/2020-08-15/logs", b"{}", {IDENTIFIER: identifier})
        assert refusal(response) == (400, "Logs.ValidationError")


async def test_an_extension_that_subscribed_by_one_api_cannot_by_the_other() -> None:
    async with bench() as b:
        identifier = await b.register()
        body = json.dumps(SUBSCRIPTION).encode()
        await b.client.call("PUT", "/2022-07-01/telemetry", body, {IDENTIFIER: identifier})
        body = json.dumps(SUBSCRIPTION | {"schemaVersion": "2020-08-15"}).encode()
        response = await b.client.call("PUT", "/2020-08-15/logs", body, {IDENTIFIER: identifier})
        assert refusal(response) == (400, "Logs.ValidationError")
