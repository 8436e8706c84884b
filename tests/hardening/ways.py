"""The four ways from a client to an app, each as a real process: proxy and runtime, streamed and buffered.

All of them return the same kind of outcome, so one table of an app's violations tests all four.
"""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, Protocol

from tests.events import function_url
from tests.proxy.process import ProxyProcess
from tests.raw_client import ask
from tests.runtime_process import RuntimeProcess
from tests.scripted_runtime_api import Call, ScriptedRuntimeApi

PRELUDE_END = b"\0" * 8
WAYS = ("proxy-streamed", "proxy-buffered", "runtime-streamed", "runtime-buffered")


@dataclass(frozen=True, slots=True)
class Outcome:
    """The client's result: a ``whole`` response of the app, an ``error`` instead, or a visibly ``cut`` response.

    ``name`` is the name of the adapter's error, if the client gets it.
    """

    kind: Literal["whole", "error", "cut"]
    status: int = 0
    body: bytes = b""
    name: str = ""


class Way(Protocol):
    """One way from a client to the app."""

    def ask(self, target: str, *, method: str = "GET", body: bytes = b"") -> Outcome:
        """Send a request, and return the client's result. Check that the request has ended exactly once."""


class ProxyWay:
    """A client with a new connection for each request."""

    def __init__(self, port: int) -> None:
        self._port = port

    def ask(self, target: str, *, method: str = "GET", body: bytes = b"") -> Outcome:
        lines = [f"{method} {target} HTTP/1.1", "Host: a", *([f"Content-Length: {len(body)}"] if body else []), "", ""]
        try:
            answer = asyncio.run(ask(self._port, "\r\n".join(lines).encode() + body, method=method))
        except (asyncio.IncompleteReadError, ConnectionResetError):
            return Outcome("cut")
        if answer.is_cut:
            return Outcome("cut", answer.status, answer.body)
        if b'"error": "Adapter.' in answer.body:
            return Outcome("error", answer.status, name=json.loads(answer.body)["error"])
        return Outcome("whole", answer.status, answer.body)


class RuntimeWay:
    """A client that invokes the function with events of a function URL."""

    def __init__(self, api: ScriptedRuntimeApi) -> None:
        self._api = api

    def ask(self, target: str, *, method: str = "GET", body: bytes = b"") -> Outcome:
        # Clear the calls. Otherwise each search would take long after thousands of invocations.
        self._api.calls.clear()
        invoked = self._api.invoke(function_url(target, method=method, body=body.decode()))
        call = invoked.begun().wait()
        outcome = _streamed(call) if call.trailers or _is_stream(call) else _buffered(call)
        assert len(invoked.ends) == 1, [end.path for end in invoked.ends]
        return outcome


def _is_stream(call: Call) -> bool:
    return call.headers.get("lambda-runtime-function-response-mode") == "streaming"


def _streamed(call: Call) -> Outcome:
    assert not call.truncated, "the runtime itself broke off"
    prelude, _, body = bytes(call.body).partition(PRELUDE_END)
    status = int(prelude.partition(b'"statusCode":')[2].partition(b",")[0])
    if "lambda-runtime-function-error-type" in call.trailers:
        return Outcome("cut", status, body, name=call.trailing_error["errorType"])
    return Outcome("whole", status, body)


def _buffered(call: Call) -> Outcome:
    payload = call.json()
    if call.path.endswith("/error"):
        return Outcome("error", name=payload["errorType"])
    body = payload["body"].encode()
    return Outcome("whole", payload["statusCode"], b64decode(body) if payload["isBase64Encoded"] else body)


@contextmanager
def way_to(app_port: int, name: str, **settings: str) -> Iterator[Way]:
    """Yield the way ``name`` to the app at ``app_port``. ``settings`` are variables of the adapter."""
    kind, _, mode = name.partition("-")
    environ = {
        "AWS_LWA_INVOKE_MODE": "response_stream" if mode == "streamed" else "buffered",
        "AWS_LWA_READINESS_CHECK_PROTOCOL": "tcp",
        **settings,
    }
    if kind == "proxy":
        with ProxyProcess("--bandwidth", "unlimited", app_port=app_port, environ=environ) as proxy:
            yield ProxyWay(proxy.port)
        return
    environ["AWS_LWA_PORT"] = str(app_port)
    with ScriptedRuntimeApi() as api, RuntimeProcess(api, environ=environ):
        yield RuntimeWay(api)
