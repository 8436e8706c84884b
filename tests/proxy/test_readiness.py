"""Readiness seen by a load balancer: /readyz answers 200 once requests are served, and costs the app little."""

from __future__ import annotations

import asyncio
import signal
import threading
from time import monotonic

import pytest

from tests.logging_process import PATIENCE
from tests.proxy.process import ProxyProcess
from tests.proxy.scripts import GET, get
from tests.raw_client import ask
from tests.scripted_app import Received, ScriptedApp, response
from tests.unused_port import unused_port

READYZ = get("/readyz")


class StartingApp(ScriptedApp):
    """An app that answers 503 until ``is_ready``, and takes so long for it that the proxy pauses between its probes."""

    def __init__(self) -> None:
        super().__init__(default=self._reply, records_probes=True)
        self.is_ready = False
        self.probes: list[float] = []

    def _reply(self, received: Received) -> None:
        if received.headers.get("connection") == "close":
            self.probes.append(monotonic())
        if not self.is_ready:
            threading.Event().wait(0.003)
        received.send(response(b"", status=200 if self.is_ready else 503))


@pytest.mark.parametrize("start", range(3))
async def test_a_balancer_that_believes_the_first_200_loses_nothing(start: int) -> None:
    admin = unused_port()
    with StartingApp() as app, ProxyProcess("--admin", f"127.0.0.1:{admin}", app_port=app.port, waits=False) as proxy:
        await asyncio.to_thread(app.wait_for_request, 5 + start)
        answer = await ask(admin, READYZ)
        assert (answer.status, answer.body) == (503, b"GET / answered 503\n")
        assert (await ask(proxy.port, GET)).status == 503
        app.is_ready = True
        while (await ask(admin, READYZ)).status != 200:
            pass
        assert [(await ask(proxy.port, GET)).status for _ in range(10)] == [200] * 10


async def test_a_balancer_without_health_checks_is_refused_until_the_app_is_ready() -> None:
    admin, port = unused_port(), unused_port()
    flags = ("--listen", f"127.0.0.1:{port}", "--listen-when-ready", "--admin", f"127.0.0.1:{admin}")
    with StartingApp() as app, ProxyProcess(*flags, app_port=app.port, waits=False) as proxy:
        assert "connections are refused while the app starts" in proxy.start_line
        await asyncio.to_thread(app.wait_for_request, 3)
        assert (await ask(admin, READYZ)).status == 503
        with pytest.raises(ConnectionRefusedError):
            await ask(port, GET)
        app.is_ready = True
        while (await ask(admin, READYZ)).status != 200:
            pass
        assert [(await ask(port, GET)).status for _ in range(10)] == [200] * 10


async def test_of_two_processes_that_wait_for_one_address_the_later_one_ends_with_the_reason() -> None:
    port = unused_port()
    flags = ("--listen", f"127.0.0.1:{port}", "--listen-when-ready")
    with StartingApp() as one, StartingApp() as two:
        first = ProxyProcess(*flags, app_port=one.port, waits=False)
        with first, ProxyProcess(*flags, "--drain-delay", "600", app_port=two.port, waits=False) as second:
            one.is_ready = True
            first.wait_for_line("the app is ready")
            two.is_ready = True
            line = second.wait_for_line("give another address")
            assert f"--listen: 127.0.0.1:{port} is taken by pid {first.process.pid} " in line
            assert second.process.wait(PATIENCE) == 2
            assert (await ask(port, GET)).status == 200


async def test_a_signal_before_the_app_is_ready_ends_a_proxy_that_does_not_listen_yet() -> None:
    port = unused_port()
    with StartingApp() as app:
        flags = ("--listen", f"127.0.0.1:{port}", "--listen-when-ready", "--drain-delay", "600")
        with ProxyProcess(*flags, app_port=app.port, waits=False) as proxy:
            proxy.process.send_signal(signal.SIGTERM)
            proxy.wait_for_line("(set by --drain-delay)")
            app.is_ready = True
            proxy.wait_for_line("the app is ready")
            with pytest.raises(ConnectionRefusedError):
                await ask(port, GET)
            proxy.process.send_signal(signal.SIGTERM)
            assert proxy.process.wait(PATIENCE) == 0


async def test_whoever_asks_the_app_is_probed_at_most_once_a_second() -> None:
    admin = unused_port()
    answers: list[int] = []

    async def balancer() -> None:
        while len(app.probes) < 3:
            answers.append((await ask(admin, READYZ)).status)

    with StartingApp() as app:
        app.is_ready = True
        with ProxyProcess("--admin", f"127.0.0.1:{admin}", app_port=app.port):
            # The probe that has found the app ready. At the end there are two more.
            assert len(app.probes) == 1
            await asyncio.gather(*(balancer() for _ in range(10)))
    assert set(answers) == {200}
    assert len(answers) > 50
    assert app.probes[2] - app.probes[1] > 0.99
    assert len(app.probes) == 3


async def test_an_app_that_becomes_unhealthy_is_not_ready_but_gets_requests() -> None:
    admin = unused_port()
    with StartingApp() as app:
        app.is_ready = True
        with ProxyProcess("--admin", f"127.0.0.1:{admin}", app_port=app.port) as proxy:
            app.is_ready = False
            assert (await ask(admin, READYZ)).body == b"GET / answered 503\n"
            assert len(app.probes) == 2
            app.is_ready = True
            assert (await ask(proxy.port, GET)).status == 200
            while (await ask(admin, READYZ)).status != 200:
                pass
