"""Takes pictures of the inspector's page from a real run of ``adapter dev`` with the FastAPI example.

    python docs/screenshots.py              write docs/inspector.png, the picture in the README
    python docs/screenshots.py FOLDER       also write each view at 1,280 and 800 px, light and dark, into FOLDER

It needs Chromium, and the fonts Inter and JetBrains Mono for pictures that look the same everywhere:
apt-get install chromium fonts-inter fonts-jetbrains-mono
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import aiohttp

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from tests.browser import Page, new_page, running_browser  # noqa: E402 (after the path is set)
from tests.example_dev import example_dev  # noqa: E402

PICTURE = REPOSITORY / "docs" / "inspector.png"
DOORS = ("--front-door", "function-url", "--front-door", "rest-api", "--front-door", "alb")
FLAGS = (*DOORS, "--region", "us-east-1", "--function-name", "web-shop")
ORDER = b'{"item": "espresso", "sugar": false, "cups": 2}'
HEADERS = {"Authorization": "Bearer eyJhbGciOiJIUzI1NiJ9.c2VjcmV0", "Cookie": "session=0c7e7bd1f4"}
JSON = HEADERS | {"Content-Type": "application/json"}
DOWNLOAD = "/download?bytes=20971520"


async def make_traffic(session: aiohttp.ClientSession, doors: list[str]) -> None:
    """Send the requests that the pictures show."""
    url, rest, alb = doors

    async def ask(address: str, method: str = "GET", **options: Any) -> None:
        async with session.request(method, address, **options) as response:
            await response.read()

    await ask(f"{url}/")
    await ask(f"{url}/echo/orders/7?dry=1", headers=HEADERS)
    await asyncio.gather(*(ask(f"{url}/stream?chunks=3&interval=0.2") for _ in range(3)))
    await ask(f"{url}/status/404")
    await ask(f"{rest}/cookies", headers=HEADERS)
    await ask(f"{alb}/echo/teapot")
    await ask(f"{url}/status/500")
    await ask(f"{url}/echo/orders", "POST", data=ORDER, headers=JSON)
    await asyncio.gather(
        ask(f"{url}/sse?events=8&interval=0.4", headers=HEADERS), ask(f"{rest}/download?bytes=12582912")
    )
    await ask(f"{url}{DOWNLOAD}")


async def take(page: Page, path: Path) -> None:
    """Write what the page shows into the file ``path``."""
    # The page draws in animation frames; the second one shows what the first has made.
    await page.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    await asyncio.to_thread(path.write_bytes, await page.picture())


async def find(page: Page, url: str, text: str, door: str = "function-url") -> int:
    """Return the id of the newest record whose target contains ``text``."""
    stream = await page.run(
        "new Promise((done) => { const source = new EventSource('events');"
        " source.addEventListener('hello', (event) => { source.close(); done(event.data); }); })"
    )
    records = [each for each in json.loads(stream)["records"] if text in each["target"] and each["door"] == door]
    assert records, f"{text} is not in the list of {url}"
    return int(records[-1]["id"])


async def show(page: Page, path: str, ready: str) -> None:
    """Go to ``path``, and wait until the expression ``ready`` is true."""
    await page.run(f"location.hash = '#{path}'")
    await page.until(ready)


async def views(page: Page, folder: Path, width: int, url: str) -> None:
    """Take a picture of each view, light and dark."""
    download = await find(page, url, DOWNLOAD)
    sse, order = await find(page, url, "/sse"), await find(page, url, "/echo/orders")
    failed, rest = await find(page, url, "/status/500"), await find(page, url, "12582912", "rest-api")
    shots = {
        "list": ("/", "document.querySelectorAll('.rows .row').length > 5"),
        "stream": (f"/{download}/stream", "document.querySelector('.client .stroke')"),
        "request": (f"/{order}/request", "document.querySelector('.headers')"),
        "response": (f"/{sse}/response", "document.querySelector('table.events')"),
        "output": (f"/{failed}/output", "document.querySelector('.panel .code')"),
        "doors": (f"/{rest}/doors", "document.querySelector('.verdicts')"),
        "compare": (f"/compare/{download}/{rest}", "document.querySelector('.comparison')"),
        "environments": ("/environments", "document.querySelector('.lane i')"),
    }
    for name, (path, ready) in shots.items():
        await show(page, path, ready)
        for theme in ("light", "dark"):
            await page.set_dark(theme == "dark")
            await take(page, folder / f"{name}-{width}-{theme}.png")
    await show(page, f"/{order}/request", "document.querySelector('.headers')")
    await page.press("e")
    await page.until("document.querySelector('dialog[open]')")
    for theme in ("light", "dark"):
        await page.set_dark(theme == "dark")
        await take(page, folder / f"edit-{width}-{theme}.png")


async def main(folder: Path | None) -> None:
    with running_browser() as endpoint:
        async with example_dev(*FLAGS) as fields, new_page(endpoint) as page:
            await take_all(page, fields, folder)


async def take_all(page: Page, fields: dict[str, Any], folder: Path | None) -> None:
    url = fields["inspectorUrl"]
    await page.open(url)
    await page.until("document.querySelector('.connection.live')")
    async with aiohttp.ClientSession() as session:
        await make_traffic(session, [door["url"].rstrip("/") for door in fields["doors"]])
    if folder is not None:
        for width in (1280, 800):
            await page.open(url, width=width)
            await page.until("document.querySelector('.connection.live')")
            await views(page, folder, width, url)
    await page.open(url, width=1280, height=860, scale=1.5)
    await page.until("document.querySelector('.connection.live')")
    await page.set_dark(False)
    await show(page, f"/{await find(page, url, DOWNLOAD)}/stream", "document.querySelector('.client .stroke')")
    await take(page, PICTURE)
    assert not page.errors, page.errors


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    if target is not None:
        target.mkdir(parents=True, exist_ok=True)
    asyncio.run(main(target))
