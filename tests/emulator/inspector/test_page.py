"""The inspector's page in a real Chromium, against a whole local Lambda: what it shows, does, and never lets run."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from adapter.aws.limits import KIB, LAMBDA_BANDWIDTH, MIB
from adapter.emulator import inspector
from adapter.emulator.records.record import RequestRecord
from adapter.net.paced_writer import PacedWriter
from tests.browser import Page, chromium, new_page, running_browser
from tests.drawn_curve import drawn
from tests.emulator.scripted import Handed, LocalLambda, Script, ScriptedRuntime, local_lambda, prelude
from tests.emulator.scripts import each, streaming

PAGE = Path(inspector.__file__).parent / "page"
TABS = ("stream", "request", "response", "output", "doors")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """Yield the DevTools of one Chromium for all tests, or an empty text."""
    if not chromium():
        if "CI" in os.environ:
            pytest.fail("Chromium is missing: apt-get install chromium")
        sys.stderr.write("\nThe inspector's page was not tried: Chromium is missing (apt-get install chromium).\n")
        yield ""
        return
    with running_browser() as address:
        yield address


@asynccontextmanager
async def opened(endpoint: str, local: LocalLambda, path: str = "") -> AsyncIterator[Page]:
    """Yield the page, once it is live."""
    async with new_page(endpoint) as page:
        await page.open(f"{local.inspector_url}{path}")
        await page.until("document.querySelector('.connection.live')")
        yield page


PageTest = Callable[[LocalLambda, Page], Awaitable[None]]


async def try_page(endpoint: str, script: Script, test: PageTest, **flags: Any) -> None:
    """Run ``test`` with a local Lambda and its page, in which nothing may fail."""
    if not endpoint:
        return
    async with local_lambda(script, **flags) as local, opened(endpoint, local) as page:
        await test(local, page)
        assert page.errors == []


async def show(page: Page, number: int, tab: str) -> None:
    """Open a tab of the details of a record."""
    await page.run(f"location.hash = '#/{number}/{tab}'")
    await page.until(
        f"document.querySelector('#tab-{tab}[aria-selected=true]') && !document.querySelector('.note.wait')"
    )


def row(text: str) -> str:
    """Return an expression for the row of the list that contains ``text``."""
    return f"[...document.querySelectorAll('.rows .row')].find((row) => row.textContent.includes({json.dumps(text)}))"


# --- the list --------------------------------------------------------------------------------------------------------


async def test_the_list_fills_while_a_stream_runs(endpoint: str) -> None:
    go_on = asyncio.Queue[bytes]()

    async def serve(runtime: ScriptedRuntime, handed: Handed) -> None:
        upload = await runtime.stream(handed)
        await upload.write(prelude())
        while piece := await go_on.get():
            await upload.write(piece)
        await upload.end()

    async def test(local: LocalLambda, page: Page) -> None:
        async with asyncio.TaskGroup() as group:
            request = group.create_task(local.request("GET", "/slow?x=1"))
            await page.until(f"{row('/slow?x=1')}?.classList.contains('running')")
            go_on.put_nowait(b"x" * 2048)
            await page.until(f"{row('2 KB')}?.classList.contains('running')")
            first = await page.run("document.querySelector('.spark .stroke').getAttribute('d')")
            go_on.put_nowait(b"x" * 1024)
            await page.until(f"{row('3 KB')}?.classList.contains('running')")
            assert await page.run("document.querySelector('.spark .stroke').getAttribute('d')") != first
            go_on.put_nowait(b"")
            assert len((await request).body) == 3072
        await page.until(f"{row('/slow?x=1')} && !{row('/slow?x=1')}.classList.contains('running')")
        assert await page.run(f"{row('/slow?x=1')}.querySelector('.status').textContent") == "200"

    await try_page(endpoint, each(serve), test)


class Relay:
    """A port that passes connections on to ``target``, until they are cut."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._writers: set[asyncio.StreamWriter] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        other_reader, other = await asyncio.open_connection("127.0.0.1", self._target)
        self._writers |= {writer, other}
        async with asyncio.TaskGroup() as group:
            group.create_task(self._pass_on(reader, other))
            group.create_task(self._pass_on(other_reader, writer))

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(64 * KIB):
                writer.write(data)
        writer.close()

    def cut(self) -> None:
        while self._writers:
            self._writers.pop().transport.abort()


async def test_a_page_that_lost_its_events_connects_again_and_has_each_request_once(endpoint: str) -> None:
    if not endpoint:
        return
    async with local_lambda(streaming(prelude(), b"x")) as local, new_page(endpoint) as page:
        relay = Relay(local.inspector_port)
        server = await asyncio.start_server(relay.serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        await page.open(local.inspector_url.replace(str(local.inspector_port), str(port)))
        await page.until("document.querySelector('.connection.live')")
        await local.request("GET", "/first")
        await page.until(row("/first"))
        relay.cut()
        await page.until("document.querySelector('.connection.wait')")
        await local.request("GET", "/second")
        await page.until("document.querySelector('.connection.live')")
        await page.until(row("/second"))
        assert await page.run("document.querySelectorAll('.rows .row').length") == 2
        relay.cut()
        server.close()
        await server.wait_closed()


async def test_filters_and_keys(endpoint: str) -> None:
    async def serve(runtime: ScriptedRuntime, handed: Handed) -> None:
        upload = await runtime.stream(handed)
        status = int(handed.event["rawPath"].rpartition("/")[2])
        await upload.write(prelude(statusCode=status) + b"body")
        await upload.end()

    rows = "[...document.querySelectorAll('.rows .row')].filter((row) => !row.style.transform.includes('-'))"
    paths = f"{rows}.map((row) => row.querySelector('.target').textContent).sort().join(' ')"

    async def test(local: LocalLambda, page: Page) -> None:
        for status in (200, 404, 500):
            await local.request("GET", f"/{status}")
        await page.until(f"{paths} === '/200 /404 /500'")
        await page.press("/")
        for key in "/404":
            await page.press(key)
        await page.until(f"{paths} === '/404'")
        await page.run("document.querySelector('.search').value = ''")
        await page.press("x")
        await page.until(f"{paths} === ''")
        assert "No request matches" in await page.run("document.querySelector('.empty').textContent")
        await page.press("Backspace")
        await page.run("document.querySelector('.search').value = ''")
        await page.run("document.querySelector('.search').dispatchEvent(new Event('input'))")
        await page.press("Escape")
        await page.until(f"{paths} === '/200 /404 /500'")
        # The address changes before the page is notified of it, so the row shows when the next key may be pressed.
        selected = "document.querySelector('.row.selected .target').textContent"
        await page.press("j")
        await page.until(f"location.hash === '#/3/stream' && {selected} === '/500'")
        await page.press("j")
        await page.until(f"location.hash === '#/2/stream' && {selected} === '/404'")
        await page.press("3")
        await page.until("document.querySelector('#tab-response[aria-selected=true]')")
        await page.press("m")
        await page.press("j")
        await page.until("location.hash === '#/compare/2/1' && document.querySelector('.comparison')")
        assert "404" in await page.run("document.querySelector('.comparison').textContent")
        await page.press("v")
        await page.until("document.querySelector('.lane i')")
        await page.press("Escape")
        await page.until("location.hash === '#/'")
        unnamed = "[...document.querySelectorAll('button')].filter((each) => !each.textContent.trim()).length"
        assert await page.run(unnamed) == 0

    await try_page(endpoint, each(serve), test)


# --- the curve -------------------------------------------------------------------------------------------------------


class Clock:
    """Time that passes only while the stream waits."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


async def paced_record(local: LocalLambda, size: int) -> RequestRecord:
    """Add the record of a stream of ``size`` bytes under Lambda's cap to the ring, on a clock of its own."""
    clock = Clock()
    record = RequestRecord(method="GET", target="/paced", client_target="/paced", door="function-url", clock=clock)
    record.mode = "streaming"
    local.ring.begin(record)
    clock.now += 0.25
    record.add_response(200, [])

    async def write(piece: bytes | memoryview) -> None:
        record.add_piece(b"", len(piece))

    async def sleep(seconds: float) -> None:
        began = clock.now
        await clock.sleep(seconds)
        record.pauses.append([began, clock.now])
        record.held += seconds

    writer = PacedWriter(write, bandwidth=LAMBDA_BANDWIDTH, clock=clock, sleep=sleep)
    while writer.sent < size:
        record.add_arrival(64 * KIB)
        await writer.send(bytes(64 * KIB))
    record.duration = clock.now
    local.ring.end(record)
    return record


async def test_the_drawn_curve_bends_at_6_mb_and_rises_by_2_mb_a_second(endpoint: str) -> None:
    async def test(local: LocalLambda, page: Page) -> None:
        record = await paced_record(local, 20 * MIB)
        await page.until(row("/paced"))
        await show(page, record.number, "stream")
        await page.until("document.querySelector('.client .stroke')?.getAttribute('d').length > 500")
        points = await drawn(page, ".client .stroke")
        begin, end = points[0][0], points[-1][0]
        # The burst is one vertical line: until its end, no time passes.
        knee = max(total for ms, total in points if ms < begin + 60)
        assert begin == pytest.approx(250, abs=8)
        assert knee == pytest.approx(6 * MIB, rel=0.01)
        slope = (points[-1][1] - knee) / (end - begin)
        assert slope * 1000 == pytest.approx(2 * MIB, rel=0.01)
        assert points[-1][1] == pytest.approx(20 * MIB, rel=0.005)
        # The cap is drawn by its own figures: it has the same knee and the same slope.
        foot, corner, far = await drawn(page, "path.cap")
        assert foot[0] == pytest.approx(begin, abs=8)
        assert corner[1] == pytest.approx(6 * MIB, rel=0.01)
        assert (far[1] - corner[1]) / (far[0] - corner[0]) * 1000 == pytest.approx(2 * MIB, rel=0.01)
        marks = await page.run("document.querySelector('.client .marks').getAttribute('d').split('M').length - 1")
        assert marks >= 56, "each refill is a piece"
        held = await page.run("document.querySelector('.figures .held').textContent")
        assert held == f"{record.held:.2f} s"

    await try_page(endpoint, streaming(prelude()), test)


# --- actions ---------------------------------------------------------------------------------------------------------


async def test_replay_and_edit_and_send_reach_the_app_and_appear(endpoint: str) -> None:
    got: list[Any] = []

    async def serve(runtime: ScriptedRuntime, handed: Handed) -> None:
        got.append(handed.event)
        upload = await runtime.stream(handed)
        await upload.write(prelude() + b"hello")
        await upload.end()

    async def test(local: LocalLambda, page: Page) -> None:
        secret = {"Authorization": "Bearer a-very-secret-token", "Content-Type": "text/plain"}
        await local.request("POST", "/orders?n=1", b"tea", secret)
        await page.until(row("/orders?n=1"))
        await show(page, 1, "request")
        await page.press("r")
        await page.until("location.hash === '#/2/request' && document.querySelector('.badge.replay')")
        assert [event["headers"]["authorization"] for event in got] == ["Bearer a-very-secret-token"] * 2
        assert got[1]["body"] == got[0]["body"]
        await page.until("document.querySelector('.headers')")
        await page.press("e")
        await page.until("document.querySelector('dialog.editor[open]')")
        assert "a-very-secret-token" not in await page.run("document.querySelector('[name=headers]').value")
        await page.run(
            "(() => { const form = document.querySelector('.editor form'), { elements } = form;"
            " elements.target.value = '/changed?n=2'; elements.body.value = 'coffee ☕'; elements.method.value = 'PUT';"
            " elements.headers.value += '\\nX-Added: yes'; form.requestSubmit(); })()"
        )
        await page.until("location.hash === '#/3/request' && document.querySelector('.headers')")
        await page.until(row("/changed?n=2"))
        assert (got[2]["requestContext"]["http"]["method"], got[2]["rawQueryString"]) == ("PUT", "n=2")
        assert got[2]["headers"]["x-added"] == "yes"
        assert got[2]["headers"]["authorization"] == "Bearer a-very-secret-token"
        body = got[2]["body"]
        assert (base64.b64decode(body).decode() if got[2]["isBase64Encoded"] else body) == "coffee ☕"
        # A mistake stays in the dialog, with its reason.
        await page.press("n")
        await page.run("document.querySelector('[name=headers]').value = 'no colon'")
        await page.run("document.querySelector('.editor form').requestSubmit()")
        await page.until("document.querySelector('.editor .alert').textContent.includes('no colon')")
        assert len(got) == 3

    await try_page(endpoint, each(serve), test)


# --- safety ----------------------------------------------------------------------------------------------------------

SECRETS = {
    "Authorization": "Bearer a-very-secret-token",
    "Cookie": "session=cookie-secret-1; theme=dark-secret-2",
    "X-Api-Key": "api-key-secret-3",
}
FORBIDDEN = (
    "a-very-secret-token",
    "cookie-secret-1",
    "dark-secret-2",
    "api-key-secret-3",
    "set-secret-4",
    "env-secret-5",
)
EVERYTHING = (
    "document.documentElement.outerHTML + [...document.querySelectorAll('input, textarea')]"
    ".map((each) => each.value).join() + JSON.stringify({...localStorage, ...sessionStorage})"
)


async def test_masked_secrets_are_nowhere_in_the_document(endpoint: str) -> None:
    async def serve(runtime: ScriptedRuntime, handed: Handed) -> None:
        upload = await runtime.stream(handed)
        body = json.dumps(handed.event["headers"]).encode() + b" env-secret-5"
        await upload.write(prelude(headers={"content-type": "text/plain"}, cookies=["id=set-secret-4; Path=/"]) + body)
        await upload.end()

    async def test(local: LocalLambda, page: Page) -> None:
        await local.request("GET", "/echo?token=a-very-secret-token", headers=SECRETS)
        await page.until(row("/echo"))
        for tab in TABS:
            await show(page, 1, tab)
            if tab in ("request", "response"):
                await page.until("document.querySelector('.panel .headers')")
            if tab == "response":
                await page.until("document.querySelector('.body-content').textContent.includes('••••')")
            shown = await page.run(EVERYTHING)
            assert [secret for secret in FORBIDDEN if secret in shown] == []
        await show(page, 1, "request")
        await page.press("e")
        await page.until("document.querySelector('dialog.editor[open]')")
        shown = await page.run(EVERYTHING)
        assert [secret for secret in FORBIDDEN if secret in shown] == []
        await page.run("document.querySelector('dialog.editor').close()")
        # Only on request.
        await page.run("document.querySelector('.toggle input').click()")
        await page.until("document.querySelector('.panel').textContent.includes('a-very-secret-token')")

    await try_page(endpoint, each(serve), test, secret_values=["env-secret-5"])


RUN = "window.ran=1;parent.ran=1;alert(1)"
SVG = f'<svg xmlns="http://www.w3.org/2000/svg" onload="{RUN}"><script>{RUN}</script></svg>'
HOSTILE: list[tuple[str, bytes]] = [
    ("text/html", f"<script>{RUN}</script>".encode()),
    ("text/html", f"<img src=x onerror='{RUN}'>".encode()),
    ("text/html", f"<svg/onload={RUN}>".encode()),
    ("text/html", f"</pre></div><iframe srcdoc='<script>{RUN}</script>'></iframe>".encode()),
    (
        "text/html",
        b"<iframe src=javascript:parent.ran=1></iframe><object data=javascript:ran=1><embed src=//evil.example>",
    ),
    ("text/html", b"<meta http-equiv=refresh content='0;url=http://evil.example/'><base href=//evil.example/>"),
    ("text/html", b"<link rel=stylesheet href=//evil.example/x.css><style>@import '//evil.example/y.css'</style>"),
    (
        "text/html",
        b"<a href='javascript:ran=1' autofocus onfocus=ran=1 tabindex=1>x</a><input autofocus onfocus=ran=1>",
    ),
    ("text/html", b"<details open ontoggle=ran=1><summary>x</summary></details><video><source onerror=ran=1></video>"),
    ("text/html", f"<math><mtext></form><form><mglyph><style></math><img src onerror={RUN}>".encode()),
    ("image/svg+xml", SVG.encode()),
    ("image/png", SVG.encode()),
    ("image/png", b"\x89PNG\r\n\x1a\n" + f"<script>{RUN}</script>".encode()),
    ("image/gif", b"GIF89a=1;" + RUN.encode()),
    (
        "application/json",
        json.dumps({"__proto__": {"ran": 1}, f"<img src=x onerror={RUN}>": f"</script><script>{RUN}"}).encode(),
    ),
    ("application/json", b'{"constructor": {"prototype": {"ran": 1}}, "toString": "<b>x</b>", "length": 1e999}'),
    (
        "text/event-stream",
        f"event: <img src=x onerror={RUN}>\nid: <script>{RUN}</script>\ndata: <svg onload={RUN}>\n\n".encode(),
    ),
    ("text/event-stream", f': {SVG}\n\nevent: hello\ndata: {{"records": []}}\n\nevent: cleared\ndata: x\n\n'.encode()),
    ("application/javascript", RUN.encode()),
    ("text/javascript;charset=utf-7", b"+ADw-script+AD4-window.ran=1+ADw-/script+AD4-"),
    ("text/css", b"body { background: url(//evil.example/z.png) } * { display: none }"),
    ("application/pdf", b"%PDF-1.7 << /OpenAction << /S /JavaScript /JS (app.alert(1)) >> >>"),
    ("text/plain", "\u202egnp.exe\u0000<script>window.ran=1</script>\u2028".encode()),
]
NAMES = ['"><script>window.ran=1</script>.html', "../../etc/passwd", 'x.svg" onload="ran=1', "javascript:ran=1"]


async def test_hostile_responses_run_nothing(endpoint: str) -> None:
    assert len(HOSTILE) >= 20

    async def serve(runtime: ScriptedRuntime, handed: Handed) -> None:
        number = int(handed.event["rawPath"].split("/")[1])
        kind, body = HOSTILE[number]
        name = NAMES[number % len(NAMES)].replace("\\", "\\\\").replace('"', '\\"')
        fields = {
            "content-type": kind,
            "content-disposition": f'attachment; filename="{name}"',
            "x-hostile": f"<img src=x onerror={RUN}>",
            "refresh": "0;url=javascript:ran=1",
            "link": "<//evil.example/x.css>; rel=stylesheet",
            "content-security-policy": "script-src 'unsafe-inline' *",
        }
        upload = await runtime.stream(handed)
        await upload.write(prelude(headers=fields) + body)
        await upload.end()

    async def test(local: LocalLambda, page: Page) -> None:
        path = "/{}/%3Cscript%3Ealert%3C/script%3E?q=<img/src=x/onerror=window.ran=1>"
        headers = {"X-Client": f"</td><script>{RUN}</script>", "Content-Type": "text/html"}
        for number in range(len(HOSTILE)):
            await local.request("POST", path.format(number), f"<script>{RUN}</script>".encode(), headers)
        await page.until(f"document.querySelector('.list-footer').textContent.includes('{len(HOSTILE)} request')")
        for number in range(1, len(HOSTILE) + 1):
            for tab in ("request", "response"):
                await show(page, number, tab)
                await page.until(f"document.querySelector('.detail h2').textContent.includes('/{number - 1}/')")
                await page.until("document.querySelector('.panel .body-content')?.firstChild")
                views = "[...document.querySelectorAll('.panel .body-bar button')]"
                await page.run(f"{views}.forEach((button) => button.click())")
            await show(page, number, "output")
        assert await page.run("[window.ran, Object.prototype.ran, document.querySelectorAll('.list').length]") == [
            None,
            None,
            1,
        ]
        foreign = (
            "script:not([src='main.js']), iframe, object, embed, base, form[action], meta[http-equiv], style, "
            "a:not([download]), img:not([src^='data:image/'])"
        )
        assert await page.run(f'document.querySelectorAll("{foreign}").length') == 0
        base = local.inspector_url
        assert [url for url in page.requested if not url.startswith((base, "data:image/"))] == []
        # A broken picture is an error of the console.
        page.errors = [error for error in page.errors if "data:image/" not in error]

    await try_page(endpoint, each(serve), test)


# --- the files -------------------------------------------------------------------------------------------------------


def test_the_page_is_small_and_has_no_other_way_to_make_markup() -> None:
    files = [path for path in PAGE.rglob("*") if path.is_file()]
    assert 15 < len(files) < 30
    assert sum(path.stat().st_size for path in files) < 100 * KIB
    texts = {path.name: path.read_text() for path in files}
    # The name of the SVG elements is an identifier, and nothing is fetched from it.
    urls = [(name, url) for name, text in texts.items() for url in re.findall(r"https?://[^\"' ]+", text)]
    assert {url for _, url in urls} == {"http://www.w3.org/2000/svg"}
    markup = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc|DOMParser"
    assert [name for name, text in texts.items() if re.search(markup, text)] == []
    assert [name for name, text in texts.items() if "setAttribute(name" in text or "createElement(" in text] == [
        "dom.js"
    ]
    assert re.findall(r"<script(?![^>]* src=)|<style| style=| on\w+=", texts["index.html"]) == []
