"""Controls a real Chromium by its DevTools protocol, with aiohttp's WebSocket: one process, a page for each test."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from threading import Thread
from typing import Any

import aiohttp

PATIENCE = 30.0
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)


def chromium() -> str:
    """Return the path of Chromium, or an empty text."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or ""


class Page:
    """A page in its own target. ``errors`` are the exceptions and the messages of the console about errors."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.errors: list[str] = []
        self._socket = socket
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._loaded = asyncio.Event()
        #: The addresses of all requests that the page has made.
        self.requested: list[str] = []

    async def read(self) -> None:
        """Receive the messages of the browser until the socket is closed."""
        async for message in self._socket:
            data = json.loads(message.data)
            if (answer := self._answers.pop(data.get("id"), None)) is not None:
                answer.set_result(data)
            elif data.get("method") == "Page.loadEventFired":
                self._loaded.set()
            elif data.get("method") == "Network.requestWillBeSent":
                self.requested.append(data["params"]["request"]["url"])
            elif data.get("method") == "Page.javascriptDialogOpening":
                self.errors.append(f"a dialog: {data['params']['message']}")
            elif data.get("method") == "Runtime.exceptionThrown":
                details = data["params"]["exceptionDetails"]
                self.errors.append(details.get("exception", {}).get("description", details["text"]))
            elif data.get("method") == "Log.entryAdded" and data["params"]["entry"]["level"] == "error":
                entry = data["params"]["entry"]
                self.errors.append(f"{entry['text']} {entry.get('url', '')}")
        for answer in self._answers.values():
            answer.cancel()

    async def call(self, method: str, **params: Any) -> Any:
        """Call a method of the protocol, and return its result."""
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": params})
        async with asyncio.timeout(PATIENCE):
            data = await answer
        assert "error" not in data, f"{method}: {data['error']}"
        return data["result"]

    async def open(self, url: str, *, width: int = 1280, height: int = 800, scale: float = 1) -> None:
        """Load ``url`` in a window of this size."""
        for domain in ("Page", "Runtime", "Log", "Network"):
            await self.call(f"{domain}.enable")
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=False
        )
        self._loaded.clear()
        await self.call("Page.navigate", url=url)
        async with asyncio.timeout(PATIENCE):
            await self._loaded.wait()

    async def run(self, expression: str) -> Any:
        """Return the value of a JavaScript expression; a promise is awaited."""
        result = await self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    async def until(self, expression: str) -> Any:
        """Return the value of the expression once it is true. It is evaluated again after each frame of the page."""
        milliseconds = int(PATIENCE * 1000) - 2000
        return await self.run(
            f"""new Promise((resolve, reject) => {{
                const end = Date.now() + {milliseconds};
                const look = () => {{
                    let value = null;
                    try {{ value = ({expression}); }} catch {{ value = null; }}
                    if (value) resolve(value);
                    else if (Date.now() > end) reject(new Error({json.dumps(f"never true: {expression}")}));
                    else requestAnimationFrame(look);
                }};
                look();
            }})"""
        )

    async def press(self, key: str) -> None:
        """Press a key that has a character, or one of the named keys."""
        text = key if len(key) == 1 else ""
        for kind in ("keyDown", "keyUp"):
            await self.call("Input.dispatchKeyEvent", type=kind, key=key, text=text if kind == "keyDown" else "")

    async def picture(self) -> bytes:
        """Return a picture of the window, as PNG."""
        return base64.b64decode((await self.call("Page.captureScreenshot", format="png"))["data"])

    async def set_dark(self, is_dark: bool) -> None:
        """Set the system's preference for dark or light colors."""
        value = "dark" if is_dark else "light"
        await self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": value}])


@asynccontextmanager
async def new_page(endpoint: str) -> AsyncIterator[Page]:
    """Open a page in the browser at ``endpoint``, and yield it. Close it at the end of the context."""
    async with aiohttp.ClientSession() as session:
        async with session.put(f"{endpoint}/json/new?about:blank") as response:
            target = await response.json()
        async with (
            asyncio.TaskGroup() as group,
            session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0) as socket,
        ):
            page = Page(socket)
            reading = group.create_task(page.read())
            try:
                yield page
            finally:
                async with session.get(f"{endpoint}/json/close/{target['id']}"):
                    await reading


@contextmanager
def running_browser() -> Iterator[str]:
    """Run Chromium with a new profile, and yield the address of its DevTools. Remove the profile at the end."""
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile,
        subprocess.Popen(
            [chromium(), *FLAGS, f"--user-data-dir={profile}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        ) as process,
    ):
        assert process.stderr is not None
        try:
            while not (line := process.stderr.readline()).startswith(b"DevTools listening on"):
                assert line, "Chromium ended at its start"
            # Read its messages, so that it never waits for a full pipe.
            draining = Thread(target=process.stderr.read)
            draining.start()
            yield "http://" + line.decode().split("//")[1].split("/")[0]
        finally:
            os.killpg(process.pid, signal.SIGKILL)
        draining.join()
