"""Follow one warm streamed request of three pieces through the program, module by module.

    python bench/follow_request.py             print the figures
    python bench/follow_request.py --path      also print each module, and the functions called in it

For ``adapter dev``, its runtime and the proxy, this prints the number of modules that the request enters, and the
number of switches between modules. A switch is a call of a function, or the resumption of a coroutine, in another
module. A reader of the code must follow each switch. Run this before and after a change of the
layout.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import shlex
import socket
import sys
import tempfile
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from time import monotonic

ROOT = Path(__file__).resolve().parent.parent
PIECES = 3
# The app's pause before each piece, and the time that the processes have after a response, in seconds.
PAUSE = 0.15
# The number of requests before the followed one. The first starts the environment, the second loads lazy imports.
WARM_UP = 2
# The maximum number of requests that are sent until a process answers.
ATTEMPTS = 200

# Code that starts the adapter with a recorder. ``sys.setprofile`` reports each call and each resumption of a coroutine.
RECORDER = """
import json, os, sys, time
root, report, *arguments = sys.argv[1:]
sys.path.insert(0, root)
package = os.path.join(root, "adapter") + os.sep
entered = []

def note(frame, event, _argument):
    if event == "call":
        path = frame.f_code.co_filename
        if path.startswith(package):
            entered.append((time.monotonic(), path[len(package):-3], frame.f_code.co_qualname))

sys.argv[1:] = arguments
from adapter.__main__ import main
sys.setprofile(note)
try:
    code = main()
finally:
    sys.setprofile(None)
    with open(report, "w") as file:
        json.dump(entered, file)
sys.exit(code)
"""


class Followed:
    """A process with the recorder. ``entered`` are the modules and functions of the request, in their order."""

    def __init__(self, folder: str, name: str) -> None:
        self.name = name
        self.entered: list[tuple[str, str]] = []
        self._report = Path(folder, name)

    def command(self, *arguments: str) -> list[str]:
        """Return the command that starts the adapter with ``arguments`` and the recorder."""
        return [sys.executable, "-I", "-c", RECORDER, str(ROOT), str(self._report), *arguments]

    def read_report(self, begun: float, ended: float) -> None:
        """Read the functions that were entered between the two times. Call this after the end of the process."""
        calls = json.loads(self._report.read_text())
        self.entered = [(module, function) for at, module, function in calls if begun <= at <= ended]

    @property
    def stays(self) -> list[tuple[str, list[str]]]:
        """Return the modules in the order of their entry, each with its functions that were called until the next."""
        return [
            (module, [function for _, function in calls]) for module, calls in groupby(self.entered, key=itemgetter(0))
        ]


async def serve_app(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer each request on a connection: /stream in pieces with a pause before each, all other paths at once."""
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            if head.startswith(b"GET /stream "):
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n")
                for _ in range(PIECES):
                    await asyncio.sleep(PAUSE)
                    writer.write(b"5\r\npiece\r\n")
                await asyncio.sleep(PAUSE)
                writer.write(b"0\r\n\r\n")
            else:
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    except (asyncio.IncompleteReadError, ConnectionError):
        return
    finally:
        writer.close()


async def get_stream(port: int) -> bytes:
    """Return the raw response to GET /stream on a new connection; empty if nothing listens."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return b""
    try:
        writer.write(b"GET /stream HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return await reader.read()
    finally:
        writer.close()


async def wait_until_served(port: int) -> None:
    """Send requests until the app has answered one."""
    for _ in range(ATTEMPTS):
        if b"piece" in await get_stream(port):
            return
        await asyncio.sleep(PAUSE)
    raise TimeoutError(f"no answer on port {port}")


async def follow(command: list[str], app_port: str, port: int, processes: list[Followed]) -> None:
    """Start ``command``, follow a request to ``port`` through ``processes``, and end everything."""
    environ = {"PATH": os.defpath, "AWS_LWA_PORT": app_port}
    process = await asyncio.create_subprocess_exec(*command, env=environ, stderr=asyncio.subprocess.DEVNULL)
    try:
        await wait_until_served(port)
        for _ in range(WARM_UP):
            await get_stream(port)
        await asyncio.sleep(PAUSE)
        begun = monotonic()
        response = await get_stream(port)
        assert response.count(b"piece") == PIECES, response
        await asyncio.sleep(PAUSE)
        ended = monotonic()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
    for each in processes:
        each.read_report(begun, ended)


def unused_port() -> int:
    """Return a port on which nothing listens at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


async def measure() -> list[Followed]:
    """Follow a request through ``dev`` with its runtime, and through the proxy."""
    app = await asyncio.start_server(serve_app, "127.0.0.1", 0)
    app_port = str(app.sockets[0].getsockname()[1])
    with tempfile.TemporaryDirectory() as folder:
        emulator, runtime, proxy = (Followed(folder, name) for name in ("emulator", "runtime", "proxy"))
        front, invoke, listen = (unused_port() for _ in range(3))
        runtime_command = shlex.join(runtime.command("run"))
        dev = emulator.command("dev", f"--port={front}", f"--invoke-port={invoke}", f"--runtime={runtime_command}")
        await follow(dev, app_port, front, [emulator, runtime])
        await follow(proxy.command("run", "--as=proxy", f"--listen=127.0.0.1:{listen}"), app_port, listen, [proxy])
    app.close()
    return [emulator, runtime, proxy]


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--path", action="store_true", help="also print each module, and the functions called in it")
    with_path = parser.parse_args().path
    for each in asyncio.run(measure()):
        stays = each.stays
        modules = len({module for module, _ in stays})
        lines = [f"{each.name:8} {modules:3} modules, {len(stays) - 1:3} switches, {len(each.entered):4} calls"]
        lines += [f"    {module:36} {', '.join(functions)}" for module, functions in stays if with_path]
        sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
