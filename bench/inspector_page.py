"""Measure the inspector's page in Chromium: the smoothness of the list under load, and the accuracy of a drawn stream.

    python bench/inspector_page.py list      500 rows, 200 requests a second: long tasks and gaps between frames
    python bench/inspector_page.py stream    a real stream of 20 MB: the burst and the rate of the drawn curve

The exit code is 1 if a result is not within the limits of docs/inspector.md.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from itertools import pairwise
from pathlib import Path

import aiohttp

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from adapter.emulator.records.record import RequestRecord  # noqa: E402
from adapter.emulator.records.ring import RecordRing  # noqa: E402
from tests.browser import Page, new_page, running_browser  # noqa: E402 (after the path is set)
from tests.drawn_curve import drawn  # noqa: E402
from tests.emulator.scripted import local_lambda  # noqa: E402
from tests.emulator.scripts import streaming  # noqa: E402
from tests.example_dev import example_dev  # noqa: E402

MIB = 1024 * 1024
ROWS, RATE, SECONDS = 500, 200, 10
# The limits of the longest task and of the 95th percentile of the gaps between frames, in milliseconds.
LONGEST_TASK, FRAME_GAP = 50.0, 34.0
# The maximum relative error of the drawn curve.
TOLERANCE = 0.02

WATCH = """(() => {
  window.seen = {tasks: [], gaps: [], rows: 0};
  new PerformanceObserver((list) => list.getEntries().forEach((each) => seen.tasks.push(each.duration)))
    .observe({type: "longtask"});
  let last = performance.now();
  const frame = (now) => { seen.gaps.push(now - last); last = now; requestAnimationFrame(frame); };
  requestAnimationFrame((now) => { last = now; requestAnimationFrame(frame); });
})()"""


async def write_records(ring: RecordRing, count: int, rate: float) -> float:
    """Write the records of ``count`` requests, ``rate`` a second, and return the rate that was reached.

    The page gets these records like those of real requests. Real apps and clients would need the processors for 200
    requests a second, and would slow the browser down.
    """
    loop = asyncio.get_running_loop()
    start = loop.time()
    pending: deque[RequestRecord] = deque()
    for number in range(count):
        await asyncio.sleep(max(0.0, start + number / rate - loop.time()))
        status = (200, 200, 200, 404, 500)[number % 5]
        record = RequestRecord("GET", f"/orders/{number}", client_method="GET", client_target=f"/orders/{number}?n=1")
        record.door, record.mode, record.environment = "function-url", "streaming", number % 4 + 1
        ring.begin(record)
        record.add_response(status, [("content-type", "text/plain")])
        pending.append(record)
        for each in list(pending)[::8]:
            each.add_piece(b"x" * 100, 100)
        if len(pending) > 20:
            done = pending.popleft()
            done.duration = done.now()
            ring.end(done)
    return count / (loop.time() - start)


async def measure_list(page: Page) -> bool:
    async with local_lambda(streaming(b"")) as local:
        await write_records(local.ring, ROWS, 10 * RATE)
        await page.open(local.inspector_url)
        await page.until(f"document.querySelector('.list-footer').textContent.includes('{ROWS} requests')")
        await page.run(WATCH)
        reached = await write_records(local.ring, RATE * SECONDS, RATE)
        seen = await page.run("seen")
    gaps = sorted(seen["gaps"])
    p95 = gaps[int(len(gaps) * 0.95)]
    longest = max(seen["tasks"], default=0.0)
    sys.stdout.write(
        f"{ROWS} rows, {reached:.0f} new ones a second for {SECONDS} s\n"
        f"longest task   {'none' if not seen['tasks'] else f'{longest:.0f} ms'} of those over 50 ms\n"
        f"frame gap p50  {gaps[len(gaps) // 2]:.1f} ms\nframe gap p95  {p95:.1f} ms\nframes         {len(gaps)}\n"
    )
    return longest <= LONGEST_TASK and p95 < FRAME_GAP


async def measure_stream(page: Page) -> bool:
    async with example_dev("--warm", "--no-access-log") as fields, aiohttp.ClientSession() as session:
        await page.open(fields["inspectorUrl"])
        await page.until("document.querySelector('.connection.live')")
        for target in ("", f"download?bytes={20 * MIB}"):
            async with session.get(f"{fields['doors'][0]['url']}{target}") as response:
                await response.read()
        await page.run("location.hash = '#/2/stream'")
        await page.until("document.querySelector('.client .stroke') && document.querySelector('path.cap')")
        points = await drawn(page, ".client .stroke")
    # A line through the pieces after the first second. Its value at the beginning of the stream is the burst.
    begin, end = points[0][0], points[-1][0]
    line = [point for before, point in pairwise(points) if point[1] > before[1] and point[0] > begin + 1000]
    middle_ms = sum(ms for ms, _ in line) / len(line)
    middle = sum(total for _, total in line) / len(line)
    slope = sum((ms - middle_ms) * (total - middle) for ms, total in line) / sum(
        (ms - middle_ms) ** 2 for ms, _ in line
    )
    knee = middle - slope * (middle_ms - begin)
    results = {"knee": knee / (6 * MIB), "slope": slope * 1000 / (2 * MIB), "total": points[-1][1] / (20 * MIB)}
    sys.stdout.write(
        f"a stream of 20 MB in {(end - begin) / 1000:.2f} s, as drawn\n"
        f"knee   {knee / MIB:.3f} MB\nslope  {slope * 1000 / MIB:.3f} MB/s\ntotal  {points[-1][1] / MIB:.3f} MB\n"
    )
    return all(abs(share - 1) <= TOLERANCE for share in results.values())


async def main(what: str) -> int:
    with running_browser() as endpoint:
        async with new_page(endpoint) as page:
            return 0 if await {"list": measure_list, "stream": measure_stream}[what](page) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1])))
