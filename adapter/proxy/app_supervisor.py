"""Runs the app: waits until it is ready, copies its stderr, restarts it according to ``--restart``, and ends it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from select import PIPE_BUF
from time import monotonic
from typing import TYPE_CHECKING

from adapter.app.exit_report import exit_hint, exit_text, failed_start_text
from adapter.app.job_control import JobControl
from adapter.app.process import ended_children
from adapter.errors import ERRORS_PAGE, EXIT_FAILURE, AppExited, AppNotReady, ConfigurationError
from adapter.output import STDERR

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from adapter.app.process import AppProcess
    from adapter.config.load import Config
    from adapter.logs import Log
    from adapter.proxy.app_probe import Readiness
    from adapter.proxy.metrics import Metrics

# The first and the longest delay before the app is started again, in seconds. The delay doubles each time. It
# is reset if the app has run longer than the longest delay.
_FIRST_BACKOFF, _LAST_BACKOFF = 0.1, 10.0
# The time that the app has to end after its signal, in seconds. Then its group is killed.
APP_GRACE = 1.5
# The exit codes of an app that Ctrl-C or Ctrl-\ has ended.
_INTERRUPTED = (128 + signal.SIGINT, 128 + signal.SIGQUIT)
# The number of pieces of PIPE_BUF bytes of the app's stderr that are copied at once: the size of a pipe (pipe(7)).
_STDERR_PIECES = 16
# The pause before another attempt to write to a full stderr, in seconds.
_STDERR_PAUSE = 0.05
# The time to wait for the last lines of an app that has ended, in seconds. An orphan may keep the pipe open for ever.
_STDERR_END_TIMEOUT = 0.2


class AppSupervisor:
    """Runs the app. ``process`` is None if the adapter did not start the app. ``start()`` starts the app again.

    ``before_ready()`` is awaited each time the app has become ready, before requests are sent to it.

    ``ready`` is True while the app can serve requests. If the app is restarted, ``is_restarting`` is True from the
    end of the app until it is ready again.
    """

    def __init__(
        self,
        config: Config,
        process: AppProcess | None,
        *,
        start: Callable[[], AppProcess],
        before_ready: Callable[[], Awaitable[None]],
        readiness: Readiness,
        metrics: Metrics,
        log: Log,
    ) -> None:
        self.ready = False
        self.is_restarting = False
        self._process = process
        self._start = start
        self._before_ready = before_ready
        self._restart_policy = config.restart
        self._readiness_timeout = config.readiness_timeout
        self._readiness = readiness
        self._metrics = metrics
        self._log = log
        self._job_control = JobControl(log.warning)
        self._has_foreground = config.foreground
        # Whether Ctrl-C or Ctrl-\ ended the app while it had the terminal.
        self._was_interrupted = False
        if config.foreground and process is not None:
            self._job_control.lend(process)
        self._child_ended = asyncio.Event()
        self._stderr_ended = asyncio.Event()

    async def run(self) -> int:
        """Run the app until it ends and is not restarted. Return its exit code.

        The exit code is not 0 if the app was never ready.
        If the adapter did not start the app, wait until this task is cancelled.
        """
        if self._process is None:
            # The app may be in another container that has not started yet, so there is no time limit.
            await self._readiness.wait(None, asyncio.sleep, self._log.warning)
            await self._open_gate()
            forever: asyncio.Future[int] = asyncio.get_running_loop().create_future()
            return await forever
        try:
            return await self._run_again_and_again(self._process)
        finally:
            self.is_restarting = False

    async def _run_again_and_again(self, process: AppProcess) -> int:
        """Run the app, and start it again according to ``--restart``. Return the exit code of the final run."""
        backoff = _FIRST_BACKOFF
        while True:
            started_at = monotonic()
            code = await self._run_once(process)
            if not self._note_exit(code):
                return code
            if monotonic() - started_at > _LAST_BACKOFF:
                backoff = _FIRST_BACKOFF
            self._log.warning(f"the app ended with {exit_text(code)}; it is started again in {backoff:g} s")
            process, backoff = await self._start_again(backoff)

    def _note_exit(self, code: int) -> bool:
        """Stop sending requests to the app, which has ended with ``code``. Return whether to start it again."""
        self.ready = False
        is_due = self._restart_policy == "always" or (self._restart_policy == "on-failure" and code != 0)
        self.is_restarting = is_due and not self._was_interrupted
        return self.is_restarting

    async def _run_once(self, process: AppProcess) -> int:
        """Wait until the app is ready, then until it ends. Return its exit code.

        Return EXIT_FAILURE if the app is not ready in time, or if it ends with 0 before it is ready.
        """
        self._metrics.app_starts += 1
        self._stderr_ended = asyncio.Event()
        os.set_blocking(process.stderr, False)
        self._read_stderr(process, self._stderr_ended)
        self._readiness.watch(process)
        try:
            await self._readiness.wait(self._readiness_timeout, self._pause_probing, self._log.warning)
            await self._open_gate()
            code = await self._wait_for_exit(process)
        except AppExited as error:
            code = error.exit_code or EXIT_FAILURE
        except AppNotReady as error:
            self._log.error(f"{error.name}{ERRORS_PAGE}: {error}")
            await self.stop(signal.SIGTERM, APP_GRACE)
            return EXIT_FAILURE
        was_ready = self.ready
        self._note_end(process)
        self._note_exit(code)
        # Another process of the app's group may still be running and listening on the app's port.
        process.kill()
        await self._wait_for_stderr()
        exit_message = self._exit_message(process, was_ready=was_ready)
        if self._was_interrupted:
            self._log.info(f"{exit_message}, after Ctrl-C or Ctrl-\\")
        else:
            self._log.error(exit_message)
        return code

    def _exit_message(self, process: AppProcess, *, was_ready: bool) -> str:
        code, stderr = process.exit_code() or 0, process.stderr_tail()
        if was_ready:
            return f"the app ended with {exit_text(code)}{exit_hint(code, stderr, process.command, was_ready=True)}"
        return f"{AppExited.name}{ERRORS_PAGE}: {failed_start_text(code, stderr, process.command)}"

    async def _open_gate(self) -> None:
        await self._before_ready()
        self.ready, self.is_restarting = True, False
        self._log.info("the app is ready")

    async def _pause_probing(self, seconds: float) -> None:
        """Wait between two probes. Raises AppExited if the app has ended."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._child_ended.wait()
        self._child_ended.clear()
        code = None if self._process is None else self._process.exit_code()
        if code is not None:
            raise AppExited(f"the app ended with {exit_text(code)} before it was ready", exit_code=code)

    async def _start_again(self, backoff: float) -> tuple[AppProcess, float]:
        """Start the app after ``backoff`` seconds. If that fails, try again. Return the app and the next backoff."""
        while True:
            await asyncio.sleep(backoff)
            backoff = min(backoff * 2, _LAST_BACKOFF)
            try:
                self._process = process = self._start()
            except (OSError, ConfigurationError) as error:
                reason = error.strerror if isinstance(error, OSError) else error
                self._log.error(f"the app cannot be started: {reason}; the next attempt is in {backoff:g} s")
            else:
                if self._has_foreground:
                    self._job_control.lend(process)
                return process, backoff

    async def stop(self, number: int, grace: float) -> int:
        """Send signal ``number`` to the app, and kill it if it still runs after ``grace`` seconds.

        Return the app's exit code, or 0 if the adapter did not start the app.
        """
        self.ready = False
        if self._process is None:
            return 0
        process = self._process
        process.signal(number)
        # A stopped app (SIGSTOP) handles the signal only after SIGCONT.
        process.signal(signal.SIGCONT)
        try:
            async with asyncio.timeout(grace):
                await self._wait_for_exit(process)
        except TimeoutError:
            self._log.warning(f"the app did not end within {grace:.1f} s and is killed")
        # Needed even if the app has ended: other processes of its group may still be running.
        process.kill()
        code = await self._wait_for_exit(process)
        await self._wait_for_stderr()
        return code

    def signal(self, number: int) -> None:
        """Handle signal ``number``, which does not end the proxy, as ``ACTIONS`` in app/process.py defines."""
        if number == signal.SIGTSTP:
            self._job_control.suspend(self._process)
        elif self._process is not None:
            self._process.pass_on(number, self._log.warning)

    def kill(self) -> None:
        """Kill the app and its process group at once."""
        if self._process is not None:
            self._process.kill()
            self._job_control.take_back(self._process)

    # --- children ------------------------------------------------------------------------------------------------

    def reap(self) -> None:
        """Reap the children that have ended: the app, and orphans that this process has adopted."""
        if self._process is not None:
            stopped_by = self._process.stop_signal()
            if stopped_by is not None:
                self._job_control.handle_stop(self._process, stopped_by)
            self._process.reap_children()
            if self._process.exit_code() is not None:
                self._note_end(self._process)
        else:
            # Every orphan in the container becomes a child of PID 1.
            for _ in ended_children():
                pass
        self._child_ended.set()

    def _note_end(self, process: AppProcess) -> None:
        self._was_interrupted |= self._job_control.is_lent and process.exit_code() in _INTERRUPTED
        self._job_control.take_back(process)

    async def _wait_for_exit(self, process: AppProcess) -> int:
        while (code := process.exit_code()) is None:
            self._child_ended.clear()
            await self._child_ended.wait()
        return code

    # --- stderr --------------------------------------------------------------------------------------------------

    async def _wait_for_stderr(self) -> None:
        """After the app's end, wait until all of its stderr is copied, but at most _STDERR_END_TIMEOUT seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STDERR_END_TIMEOUT):
                await self._stderr_ended.wait()

    def _read_stderr(self, process: AppProcess, ended: asyncio.Event) -> None:
        asyncio.get_running_loop().add_reader(process.stderr, self._forward_stderr, process, ended)

    def _forward_stderr(self, process: AppProcess, ended: asyncio.Event) -> None:
        """Copy the app's stderr to the adapter's stderr, and set ``ended`` at the end of the app's stderr.

        While the adapter's stderr is full, the app may block, but the proxy does not.
        """
        loop = asyncio.get_running_loop()
        descriptor = process.stderr
        STDERR.flush()
        for _ in range(_STDERR_PIECES):
            if not STDERR.is_free():
                loop.remove_reader(descriptor)
                loop.call_later(_STDERR_PAUSE, self._read_stderr, process, ended)
                return
            try:
                more = process.read_stderr(STDERR.copy_whole, PIPE_BUF)
            except BlockingIOError:
                return
            if not more:
                loop.remove_reader(descriptor)
                ended.set()
                return
