"""Keeps the app going: the readiness gate, its stderr, restarts by policy, and its end."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import TYPE_CHECKING

from adapter.errors import AppExited, AppNotReady
from adapter.logs import write_stderr

if TYPE_CHECKING:
    from collections.abc import Callable

    from adapter.config import Config
    from adapter.logs import Log
    from adapter.proxy.metrics import Metrics
    from adapter.proxy.readiness import Readiness
    from adapter.supervisor import AppProcess

# How long to wait before the app is started again, in seconds: twice as long each time it ends before it was ready.
_FIRST_BACKOFF, _LAST_BACKOFF = 0.1, 10.0
# How long the app may take to end once it was told to, in seconds; then its group is killed.
APP_GRACE = 1.5

EXIT_FAILURE = 1


class AppKeeper:
    """Keeps the app that ``start`` starts; without ``process`` something else keeps it. ``ready`` is the gate."""

    def __init__(
        self,
        config: Config,
        process: AppProcess | None,
        *,
        start: Callable[[], AppProcess],
        readiness: Readiness,
        metrics: Metrics,
        log: Log,
    ) -> None:
        self.ready = False
        self._process = process
        self._start = start
        self._restart = config.restart
        self._readiness_timeout = config.readiness_timeout
        self._readiness = readiness
        self._metrics = metrics
        self._log = log
        self._child_ended = asyncio.Event()

    def reap(self) -> None:
        """A child has ended: the app, or an orphan that became ours."""
        if self._process is not None:
            self._process.reap_all()
            self._child_ended.set()

    def signal(self, number: int) -> None:
        """Pass a signal on to the app."""
        if self._process is not None:
            self._process.signal(number)

    async def keep(self) -> int:
        """Return when the app is gone for good: its exit code, or a failure if it never became ready."""
        if self._process is None:
            # Perhaps another container, not there yet: it may take its time, and it ends on its own.
            await self._readiness.wait(None, asyncio.sleep)
            self._open_gate()
            forever: asyncio.Future[int] = asyncio.get_running_loop().create_future()
            return await forever
        backoff = _FIRST_BACKOFF
        while True:
            was_ready, code = await self._one_life(self._process)
            if self._restart == "never" or (self._restart == "on-failure" and code == 0):
                return code
            self._log.warning(f"the app ended with exit code {code}; it is started again in {backoff:g} s")
            await asyncio.sleep(backoff)
            backoff = _FIRST_BACKOFF if was_ready else min(backoff * 2, _LAST_BACKOFF)
            self._process = self._start()

    async def stop(self, number: int) -> int:
        """End the app with signal ``number``, by force after its grace; its exit code."""
        self.ready = False
        if self._process is None:
            return 0
        process = self._process
        process.signal(number)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(APP_GRACE):
                await self._until_ended(process)
        # Also after an orderly end: what the app left behind in its group goes too.
        process.signal(signal.SIGKILL)
        return await self._until_ended(process)

    async def _one_life(self, process: AppProcess) -> tuple[bool, int]:
        """From start to end: whether the app was ready, and its exit code."""
        self._metrics.app_starts += 1
        loop = asyncio.get_running_loop()
        loop.add_reader(process.stderr, self._forward_stderr, process)
        try:
            await self._readiness.wait(self._readiness_timeout, self._pause)
        except AppExited as error:
            self._log.error(f"{error.name}: {error}")
            return False, error.exit_code or EXIT_FAILURE
        except AppNotReady as error:
            self._log.error(f"{error.name}: {error}")
            await self.stop(signal.SIGTERM)
            return False, EXIT_FAILURE
        self._open_gate()
        code = await self._until_ended(process)
        self.ready = False
        self._log.error(f"the app ended with exit code {code}")
        return True, code

    async def _until_ended(self, process: AppProcess) -> int:
        while (code := process.exit_code()) is None:
            self._child_ended.clear()
            await self._child_ended.wait()
        return code

    async def _pause(self, seconds: float) -> None:
        """Between two probes; raises AppExited when the app has ended."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._child_ended.wait()
        self._child_ended.clear()
        code = None if self._process is None else self._process.exit_code()
        if code is not None:
            raise AppExited(f"the app ended with exit code {code} before it was ready", exit_code=code)

    def _open_gate(self) -> None:
        self.ready = True
        self._log.info("the app is ready")

    @staticmethod
    def _forward_stderr(process: AppProcess) -> None:
        descriptor = process.stderr
        if not process.read_stderr(write_stderr):
            asyncio.get_running_loop().remove_reader(descriptor)
