"""The two ways in, seen alike: one request in, one answer out, whatever carries them."""

from __future__ import annotations

import http.client
import json
from abc import ABC, abstractmethod
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGTERM

from tests.answer import Answer, read_answer
from tests.events import function_url
from tests.runtime_process import RuntimeProcess
from tests.scripted_runtime_api import Call, ScriptedRuntimeApi
from tests.supervision.supervised import PATIENCE, Supervisor

# The metadata prelude ends with eight NULs.
PRELUDE_END = bytes(8)


class WayIn(ABC):
    """A running ``adapter run`` with its app."""

    @abstractmethod
    def ask(
        self, target: str, method: str = "GET", *, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> Answer:
        """Send a request and return the answer."""

    @abstractmethod
    def pieces(self, target: str) -> Iterator[bytes]:
        """Return the body of a streamed response, each piece as it comes."""

    @abstractmethod
    def end(self) -> int:
        """SIGTERM; the exit code."""


class ViaProxy(WayIn):
    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        supervisor.wait_until_ready()
        self._port = supervisor.port()

    def ask(
        self, target: str, method: str = "GET", *, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> Answer:
        with self._exchange(target, method, body, headers or {}) as response:
            return read_answer(response)

    def pieces(self, target: str) -> Iterator[bytes]:
        with self._exchange(target, "GET", b"", {}) as response:
            while piece := response.read1():
                yield piece

    def end(self) -> int:
        self._supervisor.signal(SIGTERM)
        return self._supervisor.exit_code()

    @contextmanager
    def _exchange(
        self, target: str, method: str, body: bytes, headers: dict[str, str]
    ) -> Iterator[http.client.HTTPResponse]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
        try:
            connection.request(method, target, body=body or None, headers=headers)
            yield connection.getresponse()
        finally:
            connection.close()


class ViaRuntime(WayIn):
    """A function URL that streams."""

    def __init__(self, api: ScriptedRuntimeApi, process: RuntimeProcess) -> None:
        self._api = api
        self._process = process
        api.wait_until_waiting()

    def ask(
        self, target: str, method: str = "GET", *, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> Answer:
        call = self._invoke(target, method, body, headers or {}).wait()
        assert call.path.endswith("/response"), bytes(call.body)
        prelude, _, content = bytes(call.body).partition(PRELUDE_END)
        head = json.loads(prelude)
        is_cut = call.truncated or "lambda-runtime-function-error-type" in call.trailers
        pairs = [*head["headers"].items(), *(("set-cookie", cookie) for cookie in head.get("cookies", []))]
        return Answer(head["statusCode"], pairs, content, is_cut=is_cut)

    def pieces(self, target: str) -> Iterator[bytes]:
        call = self._invoke(target, "GET", b"", {})
        body, passed = b"", 0
        while (chunk := call.next_chunk()) is not None:
            body += chunk
            prelude, end, _ = body.partition(PRELUDE_END)
            start = max(passed, len(prelude) + len(end))
            if end and len(body) > start:
                yield body[start:]
                passed = len(body)

    def end(self) -> int:
        self._process.terminate()
        return self._process.exit_code()

    def _invoke(self, target: str, method: str, body: bytes, headers: dict[str, str]) -> Call:
        path, _, query = target.partition("?")
        event = function_url(path, method=method, query=query, headers=headers)
        event["body"], event["isBase64Encoded"] = b64encode(body).decode(), True
        # As Lambda does: the payload format has them apart.
        if cookies := headers.get("cookie"):
            event["cookies"] = cookies.split("; ")
        return self._api.invoke(event).begun()


@contextmanager
def via_proxy(directory: Path, command: list[str]) -> Iterator[WayIn]:
    with Supervisor("--app-dir", str(directory), command=command) as supervisor:
        yield ViaProxy(supervisor)


@contextmanager
def via_runtime(directory: Path, command: list[str]) -> Iterator[WayIn]:
    environ = {"ADAPTER_APP_DIR": str(directory), "AWS_LWA_INVOKE_MODE": "response_stream"}
    with ScriptedRuntimeApi() as api, RuntimeProcess(api, *command, environ=environ) as process:
        yield ViaRuntime(api, process)
