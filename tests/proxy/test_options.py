"""The options of the proxy, each with its own process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from itertools import pairwise
from pathlib import Path
from time import monotonic

import pytest
from prometheus_client.parser import text_string_to_metric_families

from adapter.aws.limits import KIB
from adapter.net.token_bucket import REFILL_INTERVAL
from tests.proxy.process import ProxyProcess
from tests.proxy.scripts import CHUNKED, GET, get
from tests.raw_client import ask, raw_client
from tests.scripted_app import PATIENCE, Received, ScriptedApp, response
from tests.unused_port import unused_port


async def arrivals(port: int, total: int) -> list[tuple[float, int]]:
    """Return how many body bytes had arrived after how many seconds since the first."""
    seen: list[tuple[float, int]] = []
    async with raw_client(port) as client:
        await client.send(GET)
        await client.head()
        count, first = 0, 0.0
        while count < total:
            async with asyncio.timeout(PATIENCE):
                piece = await client.reader.read(2**20)
            first = first or monotonic()
            count += len(piece)
            seen.append((monotonic() - first, count))
    return seen


async def test_the_cap_lets_the_burst_through_and_then_exactly_its_rate(app: ScriptedApp) -> None:
    burst, tick, ticks = 64 * KIB, 32 * KIB, 4
    total = burst + tick * ticks
    app.default = response(b"x" * total)
    with ProxyProcess("--bandwidth", "64KB+256KB", app_port=app.port) as proxy:
        assert "capped at 256 KB/s after the first 64 KB" in proxy.wait_for_line("proxy on")
        seen = await arrivals(proxy.port, total)
        line = proxy.wait_for_line("request requestId")
    for number in range(ticks):
        before = max(count for moment, count in seen if moment < (number + 0.6) * REFILL_INTERVAL)
        assert before == burst + number * tick
    assert seen[-1][0] == pytest.approx(ticks * REFILL_INTERVAL, abs=0.06)
    held = int(line.partition("heldMs=")[2].split()[0])
    assert held == pytest.approx(ticks * REFILL_INTERVAL * 1000, abs=60)


async def test_all_streams_together_stay_under_the_total(app: ScriptedApp) -> None:
    total = 96 * KIB
    app.default = response(b"x" * total)
    with ProxyProcess("--bandwidth", "unlimited", "--total-bandwidth", "64KB+512KB", app_port=app.port) as proxy:
        begun = monotonic()
        streams = await asyncio.gather(*(arrivals(proxy.port, total) for _ in range(4)))
        elapsed = monotonic() - begun
    assert all(stream[-1][1] == total for stream in streams)
    # 64 KiB at once, the other 320 KiB at 64 KiB a tick.
    assert elapsed == pytest.approx(5 * REFILL_INTERVAL, abs=0.1)


async def test_no_stream_starves_under_the_total(app: ScriptedApp) -> None:
    app.default = response(b"x" * 160 * KIB)
    with ProxyProcess("--bandwidth", "unlimited", "--total-bandwidth", "32KB+512KB", app_port=app.port) as proxy:
        streams = await asyncio.gather(*(arrivals(proxy.port, 160 * KIB) for _ in range(2)))
    ends = [stream[-1][0] for stream in streams]
    # Alone each would have ended in half the time: neither waited for the other's end.
    assert min(ends) > 0.7 * max(ends)


async def test_connections_beyond_the_limit_get_503(app: ScriptedApp) -> None:
    go_on = threading.Event()

    def streams(received: Received) -> None:
        received.send(CHUNKED)
        go_on.wait(PATIENCE)

    app.replies["/stream"] = streams
    # The readiness probe goes to the app, not through the proxy.
    with ProxyProcess("--max-connections", "1", app_port=app.port) as proxy:
        async with raw_client(proxy.port) as one:
            await one.send(get("/stream"))
            await one.head()
            answer = await ask(proxy.port, GET)
            assert (answer.status, answer.headers["retry-after"]) == (503, "1")
            go_on.set()


async def test_until_the_app_is_ready_clients_get_503_and_retry_after() -> None:
    port = unused_port()
    with ProxyProcess(app_port=port, waits=False) as proxy:
        answer = await ask(proxy.port, get("/", "Content-Length: 2", method="POST") + b"hi")
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        assert json.loads(answer.body)["error"] == "Adapter.AppNotServing"
        with ScriptedApp(port=port):
            proxy.wait_for_line("the app is ready")
            assert (await ask(proxy.port, GET)).status == 200


async def test_an_app_on_a_unix_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "app.sock")
    with ScriptedApp(path=path) as app, ProxyProcess("--app-socket", path) as proxy:
        assert f"unix:{path}" in proxy.wait_for_line("proxy on")
        assert (await ask(proxy.port, GET)).body == b"ok"
        assert (await ask(proxy.port, b"GET / HTTP/1.0\r\n\r\n")).body == b"ok"
        assert [received.headers["host"] for received in app.requests] == ["a", "localhost"]


async def test_the_admin_listener(app: ScriptedApp) -> None:
    admin = unused_port()
    go = threading.Event()

    def slow(received: Received) -> None:
        received.read_body()
        assert go.wait(PATIENCE)
        received.send(response(b"done"))

    app.replies |= {"/slow": slow, "/garbage": b"nonsense"}
    with ProxyProcess("--admin", f"127.0.0.1:{admin}", app_port=app.port) as proxy:
        assert (await ask(admin, get("/healthz"))).status == 200
        assert (await ask(admin, get("/readyz"))).status == 200
        assert (await ask(admin, get("/"))).status == 404
        assert (await ask(admin, get("/metrics", method="POST"))).status == 405
        # All requests to the traffic port are for the app.
        assert (await ask(proxy.port, get("/healthz"))).body == b"ok"
        assert (await ask(proxy.port, get("/garbage"))).status == 502
        async with raw_client(proxy.port) as client:
            await client.send(get("/slow", "Content-Length: 3", method="POST") + b"abc")
            await asyncio.to_thread(app.wait_for_request, 3)
            metrics = await scraped(admin)
            assert metrics["adapter_requests_in_flight"] == 1
            go.set()
            await client.answer()
        proxy.wait_for_line("path=/slow")
        metrics = await scraped(admin)
    assert metrics["adapter_requests_total", "GET", "2xx"] == 1
    assert metrics["adapter_requests_total", "GET", "5xx"] == 1
    assert metrics["adapter_requests_total", "POST", "2xx"] == 1
    assert metrics["adapter_requests_in_flight"] == 0
    assert metrics["adapter_request_bytes_total"] == 3
    assert metrics["adapter_response_bytes_total"] == 6
    assert metrics["adapter_upstream_errors_total", "Adapter.InvalidAppResponse"] == 1
    assert metrics["adapter_time_to_first_byte_seconds_count"] == 2


async def scraped(admin: int) -> dict[str | tuple[str, ...], float]:
    """Return the samples by name, or by name and label values; the histogram's buckets are checked and left out."""
    answer = await ask(admin, get("/metrics"))
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    samples: dict[str | tuple[str, ...], float] = {}
    buckets: list[float] = []
    for family in text_string_to_metric_families(answer.body.decode()):
        assert family.documentation
        for sample in family.samples:
            if sample.name.endswith("_bucket"):
                buckets.append(sample.value)
            elif sample.labels:
                samples[sample.name, *sample.labels.values()] = sample.value
            else:
                samples[sample.name] = sample.value
    assert all(low <= high for low, high in pairwise(buckets))
    assert buckets[-1] == samples["adapter_time_to_first_byte_seconds_count"]
    return samples


async def test_the_admin_listener_reports_that_the_app_has_ended(app: ScriptedApp) -> None:
    admin = unused_port()
    with ScriptedApp() as own, ProxyProcess("--admin", f"127.0.0.1:{admin}", app_port=own.port):
        own.close()
        assert (await ask(admin, get("/readyz"))).status == 503
        assert (await ask(admin, get("/healthz"))).status == 200


async def test_each_request_has_a_log_line_without_secrets(app: ScriptedApp) -> None:
    app.replies["/gone"] = b""
    with ProxyProcess(app_port=app.port) as proxy:
        await ask(
            proxy.port, get("/a%20b?token=secret", "X-Request-Id: one", "Authorization: secret", "Cookie: secret")
        )
        line = proxy.wait_for_line("requestId=one")
        assert line.startswith("adapter INFO request requestId=one method=GET path=/a%20b status=200 bytes=2 ms=")
        await ask(proxy.port, get("http://user:secret@b/", "X-Request-Id: two"))
        assert "status=400" in proxy.wait_for_line("requestId=two")
        assert "secret" not in "\n".join(proxy.lines())


TRACE = "X-Amzn-Trace-Id: Root=1-67891233-abcdef012345678912345678;Parent=53995c3f42cd8ad8;Sampled=1"


async def test_log_lines_as_json(app: ScriptedApp) -> None:
    with ProxyProcess("--log-format", "json", app_port=app.port, waits=False) as proxy:
        proxy.wait_for_line('"the app is ready"')
        await ask(proxy.port, get("/x?token=secret", "X-Request-Id: one", TRACE))
        line = json.loads(proxy.wait_for_line('"one"'))
    assert line.pop("ms") >= line.pop("firstByteMs") > 0
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "level": "INFO",
        "message": "request",
        "requestId": "one",
        "method": "GET",
        "path": "/x",
        "status": 200,
        "bytes": 2,
        "client": "127.0.0.1",
        "traceId": "1-67891233-abcdef012345678912345678",
    }


async def test_no_request_lines_without_the_access_log(app: ScriptedApp) -> None:
    with ProxyProcess("--no-access-log", app_port=app.port) as proxy:
        for _ in range(3):
            assert (await ask(proxy.port, GET)).status == 200
        proxy.process.terminate()
        proxy.process.wait(PATIENCE)
        assert not any(" request " in line for line in proxy.lines())


async def test_no_line_of_a_request_is_lost_when_the_proxy_ends(app: ScriptedApp) -> None:
    """The lines of requests that end in the same turn of the loop are written together."""
    count = 40
    app.replies["/wait"] = lambda received: received.wait_for_hang_up()
    with ProxyProcess(app_port=app.port) as proxy:
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(count):
                client = await stack.enter_async_context(raw_client(proxy.port))
                await client.send(get("/wait"))
            await asyncio.to_thread(app.wait_for_request, count)
            proxy.process.terminate()
            await asyncio.to_thread(proxy.wait_for_line, f"requests under way: {count}")
            proxy.process.terminate()
            await asyncio.to_thread(proxy.process.wait, PATIENCE)
        lines = proxy.stderr().splitlines()
    assert len([line for line in lines if "path=/wait" in line and "cut off" in line]) == count


async def test_a_client_that_left_is_reported_in_its_log_line(app: ScriptedApp) -> None:
    def waits(received: Received) -> None:
        received.wait_for_hang_up()

    app.replies["/wait"] = waits
    with ProxyProcess(app_port=app.port) as proxy:
        async with raw_client(proxy.port) as client:
            await client.send(get("/wait"))
            await asyncio.to_thread(app.wait_for_request)
        line = await asyncio.to_thread(proxy.wait_for_line, "path=/wait")
    assert 'error="client left"' in line


async def test_the_address_of_the_admin_listener_is_logged(app: ScriptedApp) -> None:
    with ProxyProcess("--admin", "127.0.0.1:0", app_port=app.port, waits=False) as proxy:
        line = proxy.wait_for_line("/healthz, /readyz and /metrics on http://127.0.0.1:")
        port = int(line.rstrip().rpartition(":")[2].split()[0])
        assert (await ask(port, get("/healthz"))).status == 200


async def test_a_listener_on_all_addresses_is_logged_as_such(app: ScriptedApp) -> None:
    with ProxyProcess("--listen", "0", app_port=app.port, waits=False) as proxy:
        assert "(all addresses of this machine)" in proxy.start_line


async def test_a_listener_on_this_machine_alone_is_logged_with_how_to_change_that(app: ScriptedApp) -> None:
    with ProxyProcess("--listen", "127.0.0.1:0", app_port=app.port, waits=False) as proxy:
        assert f"(this machine only; --listen {proxy.port} listens on all addresses)" in proxy.start_line
        assert "each capped at 2 MB/s after the first 6 MB (--bandwidth unlimited removes the cap)" in proxy.start_line


async def test_the_log_line_counts_the_bytes_of_the_proxys_own_errors(app: ScriptedApp) -> None:
    app.replies["/garbage"] = b"nonsense"
    with ProxyProcess(app_port=app.port) as proxy:
        answer = await ask(proxy.port, get("/garbage"))
        assert f" status=502 bytes={len(answer.body)} " in proxy.wait_for_line("request requestId")


def test_it_does_not_load_openssl() -> None:
    with ScriptedApp() as app, ProxyProcess(app_port=app.port) as proxy:
        assert "libcrypto" not in Path(f"/proc/{proxy.process.pid}/maps").read_text()
