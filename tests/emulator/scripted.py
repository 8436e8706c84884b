"""Real sockets for the emulator's tests: a raw HTTP client, a scripted runtime, and a whole local Lambda.

A script replaces the process of an environment. It is a coroutine that calls the Runtime API, and returns the exit
code.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from adapter.config.load import load
from adapter.emulator.front_doors.door_settings import UrlSettings
from adapter.emulator.function.scheduler import LocalFunction
from adapter.emulator.function_settings import function_settings
from adapter.emulator.records.record import RequestRecord
from adapter.emulator.records.ring import RecordRing
from adapter.emulator.sandbox.processes import ChildProcess, OnLine, ProcessTree
from adapter.emulator.service.endpoints import Emulation, open_endpoints
from tests.raw_client import RawAnswer, RawClient, head

PRELUDE_TYPE = "application/vnd.awslambda.http-integration-response"
RUNTIME = "/2018-06-01/runtime"
STREAMING = {"Lambda-Runtime-Function-Response-Mode": "streaming", "Content-Type": PRELUDE_TYPE}


def chunk(piece: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(piece), piece)


def prelude(**fields: Any) -> bytes:
    return json.dumps({"statusCode": 200} | fields).encode() + b"\0" * 8


@dataclass
class Handed:
    """An invocation as the runtime has received it."""

    request_id: str
    event: Any
    response: RawAnswer


class Upload:
    """A streamed response that the runtime is sending."""

    def __init__(self, client: RawClient) -> None:
        self._client = client

    async def write(self, piece: bytes) -> None:
        await self._client.send(chunk(piece))

    async def end(self, trailers: str = "") -> RawAnswer:
        await self._client.send(f"0\r\n{trailers}\r\n".encode())
        return await self.answer()

    async def answer(self) -> RawAnswer:
        return await self._client.answer()

    def abort(self) -> None:
        self._client.abort()


class ScriptedRuntime:
    """Calls the Runtime API at ``port``."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._clients: list[RawClient] = []

    async def connect(self) -> RawClient:
        client = await RawClient.connect(self.port)
        self._clients.append(client)
        return client

    async def call(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> RawAnswer:
        client = await self.connect()
        response = await client.request(method, path, body, headers)
        await client.close()
        return response

    async def next(self) -> Handed:
        response = await self.call("GET", f"{RUNTIME}/invocation/next")
        assert response.status == 200, response
        request_id = response.header("Lambda-Runtime-Aws-Request-Id")
        assert request_id is not None
        return Handed(request_id, response.json(), response)

    async def respond(self, handed: Handed, body: bytes) -> RawAnswer:
        return await self.call("POST", f"{RUNTIME}/invocation/{handed.request_id}/response", body)

    async def fail(self, handed: Handed, error_type: str, message: str) -> RawAnswer:
        body = json.dumps({"errorType": error_type, "errorMessage": message}).encode()
        path = f"{RUNTIME}/invocation/{handed.request_id}/error"
        return await self.call("POST", path, body, {"Lambda-Runtime-Function-Error-Type": error_type})

    async def stream(self, handed: Handed, headers: Mapping[str, str] | None = None) -> Upload:
        client = await self.connect()
        path = f"{RUNTIME}/invocation/{handed.request_id}/response"
        await client.send(head("POST", path, STREAMING | {"Transfer-Encoding": "chunked"} | dict(headers or {})))
        return Upload(client)

    async def stream_as_go(self, handed: Handed, content_type: str = PRELUDE_TYPE) -> Upload:
        """Respond as aws-lambda-go does: chunked, with declared trailers, and without a response mode."""
        client = await self.connect()
        path = f"{RUNTIME}/invocation/{handed.request_id}/response"
        trailer = "Lambda-Runtime-Function-Error-Body,Lambda-Runtime-Function-Error-Type"
        fields = {"Transfer-Encoding": "chunked", "Trailer": trailer, "Content-Type": content_type}
        await client.send(head("POST", path, fields))
        return Upload(client)

    async def close(self) -> None:
        for client in self._clients:
            await client.close()


Script: TypeAlias = Callable[[ScriptedRuntime], Awaitable[int]]
KILLED = -15


class ScriptedProcess(ChildProcess):
    """Runs a script instead of a process."""

    def __init__(self, script: Script, address: str, group: asyncio.TaskGroup) -> None:
        self._runtime = ScriptedRuntime(int(address.rpartition(":")[2]))
        self._task = group.create_task(self._run(script))

    async def _run(self, script: Script) -> int:
        try:
            return await script(self._runtime)
        except asyncio.CancelledError:
            return KILLED
        finally:
            await self._runtime.close()

    async def wait(self) -> int:
        return await asyncio.shield(self._task)

    def terminate(self) -> None:
        self._task.cancel()

    def kill(self) -> None:
        self._task.cancel()


class ScriptedProcesses(ProcessTree):
    """Scripts instead of an environment's processes. ``extensions`` maps names to scripts."""

    def __init__(
        self,
        script: Script,
        group: asyncio.TaskGroup,
        *,
        extensions: Mapping[str, Script] | None = None,
        memory: int | None = None,
    ) -> None:
        self._script = script
        self._group = group
        self._extensions = dict(extensions or {})
        self._memory = memory
        self._started: list[ScriptedProcess] = []
        self.is_frozen = False

    @property
    def extension_names(self) -> list[str]:
        return list(self._extensions)

    async def start_extension(self, name: str, runtime_api: str) -> ScriptedProcess:
        return self._run(self._extensions[name], runtime_api)

    async def start_runtime(self, runtime_api: str) -> ScriptedProcess:
        return self._run(self._script, runtime_api)

    def _run(self, script: Script, runtime_api: str) -> ScriptedProcess:
        process = ScriptedProcess(script, runtime_api, self._group)
        self._started.append(process)
        return process

    def freeze(self) -> None:
        self.is_frozen = True

    def thaw(self) -> None:
        self.is_frozen = False

    def kill_app(self) -> None:
        self._started[-1].kill()

    def peak_memory(self) -> int | None:
        return self._memory

    def snapshot_members(self) -> None:
        """Do nothing: the scripts are the only members."""

    async def end(self) -> None:
        for process in self._started:
            process.kill()
            await process.wait()


@dataclass
class LocalLambda:
    """A local Lambda. The first front door is on ``port``. ``starts`` is the number of started environments."""

    port: int = 0
    invoke_port: int = 0
    door_ports: list[int] = field(default_factory=list)
    notices: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    levels: dict[str, str] = field(default_factory=dict)
    visits: asyncio.Queue[RequestRecord] = field(default_factory=asyncio.Queue)
    starts: int = 0
    environments: list[ScriptedProcesses] = field(default_factory=list)
    block: list[str] = field(default_factory=list)
    reports: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    function: LocalFunction | None = None
    ring: RecordRing = field(default_factory=RecordRing)
    inspector_url: str = ""

    def notice(self, text: str, *, level: str = "info", reason: str = "") -> None:
        """Record a line for the user."""
        self.notices.put_nowait(text)
        self.levels[text] = level

    def show(self, line: str) -> None:
        """Record a line of the CloudWatch block. After its REPORT line, an invocation is concluded."""
        self.block.append(line)
        if line.startswith("REPORT"):
            self.reports.put_nowait(line)

    def status(self) -> Any:
        assert self.function is not None
        return self.function.status()

    async def request(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> RawAnswer:
        client = await RawClient.connect(self.port)
        try:
            return await client.request(method, path, body, headers)
        finally:
            await client.close()

    @property
    def inspector_port(self) -> int:
        return int(self.inspector_url.split("/")[2].rpartition(":")[2])

    async def inspect(
        self, path: str, headers: Mapping[str, str] | None = None, *, method: str = "GET", body: bytes = b""
    ) -> RawAnswer:
        """Send a request to the inspector; ``path`` follows the token."""
        token = self.inspector_url.split("/")[3]
        client = await RawClient.connect(self.inspector_port)
        try:
            return await client.request(method, f"/{token}/{path}", body, headers)
        finally:
            await client.close()

    async def visit(self) -> RequestRecord:
        """Wait for the next request that ends, and return its record."""
        return await self.visits.get()


@asynccontextmanager
async def local_lambda(
    script: Script,
    init_limit: float = 10.0,
    restore_limit: float = 10.0,
    *,
    extensions: Mapping[str, Script] | None = None,
    memory_used: int | None = None,
    secret_values: Iterable[str] = (),
    **flags: str,
) -> AsyncIterator[LocalLambda]:
    """Run a function URL whose environments run ``script``. ``flags`` are those of ``adapter dev``.

    ``secret_values`` are masked in the inspector.
    """
    config = load({}, {"dev_port": "0"} | flags)
    settings = UrlSettings(config)
    local = LocalLambda()
    async with asyncio.TaskGroup() as group:

        def launch(_on_line: OnLine, _initialization_type: str) -> ScriptedProcesses:
            local.starts += 1
            processes = ScriptedProcesses(script, group, extensions=extensions, memory=memory_used)
            local.environments.append(processes)
            return processes

        # One environment by default, though scripts would not share a port.
        command = ["{port}"] if "environments" in flags or "provisioned" in flags else []
        function = LocalFunction(
            launch,
            replace(function_settings(config, command), init_limit=init_limit, restore_limit=restore_limit),
            local.notice,
            local.show,
        )
        local.function = function
        emulation = Emulation(
            settings=settings,
            function=function,
            notice=local.notice,
            report=local.visits.put_nowait,
            secret_values=lambda: frozenset(secret_values),
        )
        async with open_endpoints(emulation) as endpoints:
            local.ring = endpoints.ring
            local.inspector_url = settings.inspector_url
            local.port, local.invoke_port = settings.port, settings.invoke_port
            local.door_ports = [door.port for door in settings.doors]
            running = group.create_task(function.run(warm=config.warm))
            try:
                yield local
            finally:
                running.cancel()
                await asyncio.wait([running])
