"""The local function: invocations wait in a line, one environment serves them one at a time.

``run`` reads top to bottom: when somebody calls, make an environment, initialise it, serve until it ends, start over.
An environment that failed, timed out or exited is never used again; the next call gets a cold start.

One difference from Lambda: an init phase of more than 10 s is not started again within the first invocation; it goes on
there, bounded by the function's timeout.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable

from adapter.emulator.call import Call
from adapter.emulator.changes import Changes
from adapter.emulator.environment import Environment, open_environment
from adapter.emulator.process import SHUTDOWN_GRACE, StartRuntime, exit_text
from adapter.emulator.reply import EXIT_ERROR, STOPPED, TIMEOUT, Failure, failure
from adapter.emulator.runtime_api import FUNCTION_NAME
from adapter.payload.messages import Invocation

# How long the init phase may take, in seconds (Lambda, "Init phase").
INIT_LIMIT = 10.0


class LocalFunction:
    """One function. ``timeout`` is in seconds, ``notice`` shows a line to the user."""

    def __init__(
        self,
        start: StartRuntime,
        notice: Callable[[str], None],
        *,
        timeout: float,
        region: str,
        init_limit: float = INIT_LIMIT,
    ) -> None:
        self._start = start
        self._notice = notice
        self._timeout = timeout
        self._arn = f"arn:aws:lambda:{region}:123456789012:function:{FUNCTION_NAME}"
        self._init_limit = init_limit
        self._changes = Changes()
        self._line: deque[Call] = deque()
        self._served: Call | None = None

    def submit(self, call: Call) -> None:
        """Let ``call`` take its turn; its reply says how it went."""
        ahead = len(self._line) + (self._served is not None and not self._served.reply.complete)
        if ahead:
            self._notice(f"{call.label} waits for the one environment, {ahead} ahead")
        self._line.append(call)
        self._changes.notify()

    async def run(self, *, warm: bool) -> None:
        """Serve calls until cancelled; ``warm``: make the first environment at once."""
        if not warm:
            await self._changes.until(lambda: bool(self._line))
        while True:
            async with open_environment(self._start, self._changes) as environment:
                await self._live(environment)
            await self._changes.until(lambda: bool(self._line))

    async def _live(self, environment: Environment) -> None:
        """One environment's life. Callers learn of a cancellation before the environment begins to end."""
        try:
            if await self._initialise(environment):
                await self._serve_until_end(environment)
        except asyncio.CancelledError:
            for call in (self._served, *self._line):
                if call is not None:
                    call.reply.fail(failure(STOPPED, "adapter dev was stopped"))
            raise

    async def _initialise(self, environment: Environment) -> bool:
        """Wait for the environment to become ready; False when it cannot, which fails the first call in the line."""
        begun = time.monotonic()
        with contextlib.suppress(TimeoutError):
            await self._until_initialised(environment)
        took = time.monotonic() - begun
        if not environment.ready:
            self._report_init_failure(environment)
            await _until_exited(environment, self._changes)
        elif self._line:
            self._line[0].init_seconds = took
        else:
            self._notice(f"the environment is warm, init took {took:.2f} s")
        return environment.ready

    async def _until_initialised(self, environment: Environment) -> None:
        """Raises TimeoutError once the first invocation has waited for its whole timeout."""

        def concluded() -> bool:
            return environment.ready or environment.ended

        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._init_limit):
                await self._changes.until(concluded)
        if not concluded():
            self._notice(f"init takes more than {self._init_limit:g} s; it goes on within the first invocation")
            await self._changes.until(lambda: concluded() or bool(self._line))
            async with asyncio.timeout(self._timeout):
                await self._changes.until(concluded)

    def _report_init_failure(self, environment: Environment) -> None:
        call = self._line.popleft() if self._line else None
        request_id = call.request_id if call else ""
        why = environment.init_failure
        if why is None and environment.exit_code is not None:
            why = _exit_error(environment.exit_code, request_id)
        why = why or self._timed_out(request_id)
        if call:
            call.reply.fail(why)
        else:
            self._notice(f"init failed, the next request tries again: {why.error_type}: {why.message}")

    async def _serve_until_end(self, environment: Environment) -> None:
        while True:
            await self._changes.until(lambda: environment.ended or bool(self._line))
            if environment.exit_code is not None:
                self._notice_end(environment.exit_code)
                return
            if not await self._serve(self._line.popleft(), environment):
                return

    async def _serve(self, call: Call, environment: Environment) -> bool:
        """Have one call answered; False when the environment must be made anew."""

        def concluded() -> bool:
            return environment.ready or environment.ended

        self._served = call
        try:
            async with asyncio.timeout(self._timeout):
                # Not at once: a runtime whose connection broke may be about to ask again.
                await self._changes.until(concluded)
                if environment.ready:
                    environment.invoke(call, self._invocation(call))
                    await self._changes.until(concluded)
        except TimeoutError:
            call.reply.fail(self._timed_out(call.request_id))
        if environment.exit_code is not None:
            if call.reply.complete:
                self._notice_end(environment.exit_code)
            call.reply.fail(_exit_error(environment.exit_code, call.request_id))
        self._served = None
        return environment.ready

    def _notice_end(self, exit_code: int) -> None:
        self._notice(f"the environment ended ({exit_text(exit_code)}), the next request starts one")

    def _invocation(self, call: Call) -> Invocation:
        return Invocation(
            request_id=call.request_id,
            event=call.event,
            deadline_ms=round((time.time() + self._timeout) * 1000),
            trace_id=call.trace_id,
            invoked_function_arn=self._arn,
        )

    def _timed_out(self, request_id: str) -> Failure:
        return failure(TIMEOUT, f"RequestId: {request_id} Error: Task timed out after {self._timeout:.2f} seconds")


def _exit_error(exit_code: int, request_id: str) -> Failure:
    return failure(EXIT_ERROR, f"RequestId: {request_id} Error: Runtime exited with error: {exit_text(exit_code)}")


async def _until_exited(environment: Environment, changes: Changes) -> None:
    """Let a runtime that reported its init error end by itself, as it will, so that its last lines come out."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SHUTDOWN_GRACE):
            await changes.until(lambda: environment.exit_code is not None or environment.init_failure is None)
