"""Machines that freeze and thaw, and apps that close what was idle: no request fails, and none is executed twice.

Lambda freezes an environment between invocations, container platforms pause containers. While everything stands still
time goes on, so that on waking the app's keep-alive is over at the very moment at which the adapter has a request.

Times are a fiftieth of the real ones: the app keeps connections for 20 ms instead of 1 s, and the adapter uses them
for 10 ms instead of its default of 0.5 s. Nothing in either depends on the length of a time but the comparison of the
two, and what else happens (system calls, a process that waits for its turn) does not shrink: the margin in which it
must fit does, by fifty. So this is harder than the real thing, and 500 cycles of it take seconds.
"""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from select import poll

from tests.events import function_url
from tests.hardening import figures
from tests.hardening.ways import ProxyWay
from tests.proxy.process import ProxyProcess
from tests.runtime_process import RuntimeProcess
from tests.scripted_app import PATIENCE
from tests.scripted_runtime_api import ScriptedRuntimeApi

PROGRAM = Path(__file__).with_name("keep_alive_app.py")
CYCLES = 500
IDLE_REQUESTS = 150
KEEP_ALIVE = 0.02
ENVIRON = {
    "AWS_LWA_POOL_IDLE_TIMEOUT_SECONDS": str(KEEP_ALIVE / 2),
    "AWS_LWA_READINESS_CHECK_PROTOCOL": "tcp",
}
# Milliseconds, around the moments at which the adapter stops using a connection and the app closes it.
PAUSES = (0, 19, 1, 0, 9, 2, 20, 0, 10, 4, 1, 21, 11, 0)


@contextmanager
def keep_alive_app() -> Iterator[tuple[int, int]]:
    """Yield the app's port and pid."""
    command = [sys.executable, "-I", "-S", str(PROGRAM), str(KEEP_ALIVE)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline()), process.pid
        finally:
            process.kill()


def pause(milliseconds: int) -> None:
    """Let time go by: it is what freezing is about."""
    poll().poll(milliseconds)


@contextmanager
def frozen(milliseconds: int, pids: tuple[int, int]) -> Iterator[None]:
    """Stop the processes for so long; what is sent to them meanwhile waits. They go on in the same order."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
        pause(milliseconds)
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def freezes(adapter: int, app: int) -> Iterator[tuple[str, AbstractContextManager[None]]]:
    """For each cycle a body to send and the freeze to send it in."""
    for cycle, milliseconds in zip(range(CYCLES), itertools.cycle(PAUSES), strict=False):
        yield f"cycle-{cycle}", frozen(milliseconds, (adapter, app) if cycle % 2 else (app, adapter))


def test_the_runtime_freezes_and_thaws() -> None:
    with (
        keep_alive_app() as (port, app),
        ScriptedRuntimeApi() as api,
        RuntimeProcess(api, environ={"AWS_LWA_PORT": str(port), **ENVIRON}) as runtime,
    ):
        for body, freeze in freezes(runtime.process.pid, app):
            api.wait_until_waiting()
            with freeze:
                invoked = api.invoke(function_url(method="POST", body=body))
            assert invoked.answer().json()["body"] == f"{body}: 1"
            assert len(invoked.ends) == 1
    figures.show("freeze and thaw, runtime", f"{CYCLES} cycles, 0 failures, 0 executed twice")


def test_the_proxy_freezes_and_thaws() -> None:
    with (
        keep_alive_app() as (port, app),
        ProxyProcess(app_port=port, environ=ENVIRON) as proxy,
        ThreadPoolExecutor(1) as pool,
    ):
        way = ProxyWay(proxy.port)
        for body, freeze in freezes(proxy.process.pid, app):
            with freeze:
                asked = pool.submit(way.ask, "/", method="POST", body=body.encode())
            assert asked.result(PATIENCE).body.decode() == f"{body}: 1"
    figures.show("freeze and thaw, proxy", f"{CYCLES} cycles, 0 failures, 0 executed twice")


def test_the_proxy_meets_no_close_of_an_app_whose_keep_alive_is_over() -> None:
    with keep_alive_app() as (port, _), ProxyProcess(app_port=port, environ=ENVIRON) as proxy:
        way = ProxyWay(proxy.port)
        for number, milliseconds in zip(range(IDLE_REQUESTS), itertools.cycle(PAUSES), strict=False):
            pause(milliseconds)
            assert way.ask("/", method="POST", body=b"%d" % number).body == b"%d: 1" % number
    figures.show("keep-alive races, proxy", f"{IDLE_REQUESTS} requests, 0 failures, 0 executed twice")
