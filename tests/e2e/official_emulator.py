"""AWS's own Lambda emulator as a process, with ``adapter run`` as the bootstrap that it starts.

It shares code with the production sandbox. Its Invoke API answers once an invocation is over, so a streamed response
comes back in one piece; the error trailers of a broken one stay inside, but the runtime's log line tells of them.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

from adapter.payload.event import detect
from adapter.payload.function_response import PreludeDecoder
from adapter.payload.messages import ResponseHead
from tests.apps import Framework, app_command, app_dir
from tests.e2e.output import PATIENCE, Output
from tests.samples import rie_binary

# How long to wait between two attempts to connect, in seconds; the end of the process ends the wait.
_PAUSE = 0.01
_INVOCATIONS = "/2015-03-31/functions/function/invocations"


class Returned:
    """What came back for ``event``: the Invoke API's status and the function's payload as it is."""

    def __init__(self, event: Any, status: int, payload: bytes) -> None:
        self._event = event
        self.status = status
        self.payload = payload

    def json(self) -> Any:
        return json.loads(self.payload)

    def http(self, *, streamed: bool) -> tuple[ResponseHead, bytes]:
        """Return the HTTP response in the payload; ``streamed`` if it has a metadata prelude."""
        if not streamed:
            return detect(self._event).decode_response(self.payload)
        head, body = PreludeDecoder().feed(self.payload)
        assert head is not None, self.payload[:500]
        return head, body


class OfficialEmulator:
    """A running emulator. ``output`` is what it, the runtime and the app write."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, end_signal: str) -> None:
        assert process.stdout is not None
        self._process = process
        self._port = port
        self._end_signal = signal.Signals[end_signal]
        self.output = Output(process.stdout)

    def invoke(self, event: Any) -> Returned:
        """Call the function with ``event``, JSON or raw bytes, and wait for the answer."""
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        with closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)) as connection:
            connection.request("POST", _INVOCATIONS, body)
            response = connection.getresponse()
            return Returned(event, response.status, response.read())

    def wait_until_listening(self) -> None:
        """Return once a connection succeeds. Raises AssertionError if the process ends before."""
        while True:
            try:
                socket.create_connection(("127.0.0.1", self._port), PATIENCE).close()
            except ConnectionRefusedError:
                try:
                    code = self._process.wait(_PAUSE)
                except subprocess.TimeoutExpired:
                    continue
                raise AssertionError(f"the emulator ended with exit code {code}:\n{self.output.text}") from None
            return

    def stop(self) -> None:
        """End the emulator, which ends the runtime and the app."""
        self._process.send_signal(self._end_signal)
        self._process.wait(PATIENCE)
        self.output.join()


def official_emulator(framework: Framework, invoke_mode: str) -> AbstractContextManager[OfficialEmulator]:
    """Run the example in the official emulator; everything is gone when the context ends."""
    bootstrap = [sys.executable, "-I", "-m", "adapter", "run", "--", *app_command(framework)]
    return emulated(*bootstrap, directory=app_dir(framework), AWS_LWA_INVOKE_MODE=invoke_mode)


@contextmanager
def emulated(
    *bootstrap: str,
    directory: Path,
    wrapped_in: Sequence[str] = (),
    end_signal: str = "SIGTERM",
    **environ: str,
) -> Iterator[OfficialEmulator]:
    """Run ``bootstrap`` in the official emulator, which takes its last word for the handler.

    The emulator itself is started by ``wrapped_in``, which ends with ``end_signal`` and ends the emulator with it.
    """
    port, api_port = _free_ports()
    addresses = ["--runtime-interface-emulator-address", f"127.0.0.1:{port}"]
    addresses += ["--runtime-api-address", f"127.0.0.1:{api_port}"]
    with subprocess.Popen(
        [*wrapped_in, str(rie_binary()), *addresses, *bootstrap],
        cwd=directory,
        env={"PATH": os.environ["PATH"]} | environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        emulator = OfficialEmulator(process, port, end_signal)
        try:
            emulator.wait_until_listening()
            yield emulator
        finally:
            emulator.stop()


def _free_ports() -> tuple[int, int]:
    """Return two ports that were free a moment ago: the emulator takes no 0."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        return one.getsockname()[1], other.getsockname()[1]
