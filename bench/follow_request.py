"""Follows one warm streamed request of three pieces through the program, module by module.

    python bench/follow_request.py             the figures
    python bench/follow_request.py --path      the way as well: each module, and the functions called in it

For ``adapter dev``, the runtime that it starts, and the proxy, it prints the number of modules entered and the number
of switches between modules: how often a function of another module is called, or a coroutine of it is resumed. A reader
who follows a request climbs that often. Run it before and after a change of the layout.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shlex
import signal
import socket
import sys
import tempfile
from itertools import groupby
from operator import itemgetter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PIECES = 3
#: How long the app pauses before each piece, and how long a process may take for what follows a response, in seconds.
PAUSE = 0.15
# The first request makes the environment, the second loads what is loaded lazily.
WARM_UP = 2

#: Begins or ends recording in a process; neither the adapter nor an app has a use for this signal.
TOGGLE = signal.SIGPROF

#: Starts the adapter with a recorder. ``sys.setprofile`` sees each call and each resumption of a coroutine.
RECORDER = f"""
import json, os, signal, sys
root, report, *arguments = sys.argv[1:]
sys.path.insert(0, root)
package = os.path.join(root, "adapter") + os.sep
entered = []
recording = False

def note(frame, event, _argument):
    if event == "call":
        path = frame.f_code.co_filename
        if path.startswith(package):
            entered.append((path[len(package):-3], frame.f_code.co_qualname))

def toggle(number, frame):
    global recording
    recording = not recording
    sys.setprofile(note if recording else None)
    if not recording:
        with open(f"{{report}}.tmp", "w") as file:
            json.dump(entered, file)
        os.rename(f"{{report}}.tmp", report)

signal.signal({int(TOGGLE)}, toggle)
with open(f"{{report}}.pid", "w") as file:
    file.write(str(os.getpid()))
sys.argv[1:] = arguments
from adapter.__main__ import main
sys.exit(main())
"""


class Followed:
    """The process that writes what it entered to ``report``."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.report = folder / name
        self.entered: list[tuple[str, str]] = []

    def command(self, *arguments: str) -> list[str]:
        """The command that starts the adapter with ``arguments`` and a recorder."""
        return [sys.executable, "-I", "-c", RECORDER, str(ROOT), str(self.report), *arguments]

    def toggle(self) -> None:
        """Begin or end recording."""
        os.kill(int(self.report.with_name(f"{self.name}.pid").read_text()), TOGGLE)

    async def finish(self) -> None:
        """End recording and read the report."""
        self.toggle()
        while not self.report.exists():
            await asyncio.sleep(0.01)
        self.entered = [(module, function) for module, function in json.loads(self.report.read_text())]

    @property
    def stays(self) -> list[tuple[str, list[str]]]:
        """The modules in the order of the way, each with the functions that were called before the next module."""
        stays = groupby(self.entered, key=itemgetter(0))
        return [(module, [function for _, function in calls]) for module, calls in stays]


async def serve_app(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer every request on a connection: /stream in pieces with a pause before each, everything else at once."""
    try:
        while head := (await reader.readuntil(b"\r\n\r\n")).decode():
            if "GET /stream " in head:
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n")
                for _ in range(PIECES):
                    await asyncio.sleep(PAUSE)
                    writer.write(b"5\r\npiece\r\n")
                await asyncio.sleep(PAUSE)
                writer.write(b"0\r\n\r\n")
            else:
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def get(port: int, target: str = "/stream") -> bytes:
    """The raw response to a GET on a connection of its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        return await reader.read()
    finally:
        writer.close()


async def wait_until_served(port: int) -> None:
    """Ask again and again until something answers with 200."""
    while True:
        try:
            if (await get(port)).startswith(b"HTTP/1.1 200"):
                return
        except OSError:
            pass
        await asyncio.sleep(0.05)


def unused_port() -> int:
    """A port that nothing listens on at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


async def follow(command: list[str], environ: dict[str, str], port: int, processes: list[Followed]) -> None:
    """Start ``command``, follow a request to ``port`` in ``processes``, and end everything."""
    process = await asyncio.create_subprocess_exec(
        *command, env={"PATH": os.environ["PATH"], **environ}, stderr=asyncio.subprocess.DEVNULL, start_new_session=True
    )
    try:
        async with asyncio.timeout(30):
            await wait_until_served(port)
            for _ in range(WARM_UP):
                await get(port)
            await asyncio.sleep(PAUSE)
            for each in processes:
                each.toggle()
            response = await get(port)
            assert response.count(b"piece") == PIECES, response
            await asyncio.sleep(PAUSE)
            for each in processes:
                await each.finish()
    finally:
        process.terminate()
        await process.wait()


async def measure() -> list[Followed]:
    """Follow a request through ``dev`` with its runtime, and through the proxy."""
    app = await asyncio.start_server(serve_app, "127.0.0.1", 0)
    app_port = str(app.sockets[0].getsockname()[1])
    with tempfile.TemporaryDirectory() as name:
        emulator, runtime, proxy = (Followed(Path(name), each) for each in ("emulator", "runtime", "proxy"))
        front, invoke, listen = (unused_port() for _ in range(3))
        await follow(
            emulator.command(
                "dev",
                "--port",
                str(front),
                "--invoke-port",
                str(invoke),
                "--bandwidth",
                "lambda",
                "--runtime",
                shlex.join(runtime.command("run")),
            ),
            {"AWS_LWA_PORT": app_port},
            front,
            [emulator, runtime],
        )
        await follow(
            proxy.command("run", "--as", "proxy", "--listen", f"127.0.0.1:{listen}"),
            {"AWS_LWA_PORT": app_port},
            listen,
            [proxy],
        )
    app.close()
    return [emulator, runtime, proxy]


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--path", action="store_true", help="print the way, module by module")
    arguments = parser.parse_args()
    for each in asyncio.run(measure()):
        stays = each.stays
        modules = len({module for module, _ in stays})
        print(f"{each.name:10} {modules:3} modules {len(stays) - 1:4} switches {len(each.entered):5} calls")
        if arguments.path:
            for module, functions in stays:
                print(f"    {module:28} {', '.join(functions)}")


if __name__ == "__main__":
    main()
