"""Asynchronous invocations: a queue in memory, two retries, and a notice instead of an on-failure destination.

If an invocation fails, its event is retried after a delay, and again after twice the delay (one and two minutes on
Lambda). A throttled invocation is repeated after a pause, and does not count as an attempt. Events that are still in
the queue when the emulator stops are lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from adapter.emulator.environment.result import STOPPED, THROTTLED, Failure, collect

if TYPE_CHECKING:
    from adapter.emulator.environment.invocation import LocalInvocation
    from adapter.emulator.notice import Notice
    from adapter.emulator.requests import InvocationPipeline
    from adapter.payload.headers import Headers

# The maximum number of attempts for an event: the first and two retries (Lambda, "Asynchronous invocation").
ATTEMPTS = 3
# The first and the longest pause before a throttled event is repeated, in seconds (the same page).
_FIRST_BACKOFF, _LAST_BACKOFF = 1.0, 300.0


@dataclass(slots=True)
class AsyncQueue:
    """Invokes the function asynchronously, with retries.

    Each event is processed by a task in ``group``. ``delay`` is the time before the first retry, in seconds. ``notice``
    shows a line to the user.
    """

    pipeline: InvocationPipeline
    group: asyncio.TaskGroup
    notice: Notice
    delay: float
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def accept(self, make_invocation: Callable[[], LocalInvocation], headers: Headers) -> None:
        """Queue an event. Each attempt calls ``make_invocation``, which must always use the same request id."""
        task = self.group.create_task(self._run(make_invocation, headers))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def cancel(self) -> None:
        """Drop all events, including those whose invocation is in progress."""
        if self.tasks:
            self.notice(f"asynchronous invocations lost: {len(self.tasks)}", level="warn")
        for task in self.tasks:
            task.cancel()

    async def _run(self, make_invocation: Callable[[], LocalInvocation], headers: Headers) -> None:
        delay = self.delay
        for attempt in range(1, ATTEMPTS + 1):
            invocation, why = await self._try(make_invocation, headers)
            if why is None:
                return
            name = f"{invocation.label} ({invocation.request_id})"
            if why.error_type == STOPPED:
                self.notice(f"{name} was in progress when adapter dev was stopped, and is lost", level="warn")
                return
            reason = f"{why.error_type}: {why.message}" if why.message else why.error_type
            text = f"{name}: attempt {attempt} of {ATTEMPTS} failed: {reason}"
            if attempt == ATTEMPTS:
                self.notice(f"{text}; on Lambda the event would go to the on-failure destination now", level="error")
            else:
                self.notice(f"{text}; the next attempt is in {delay:g} s (see --retry-delay)", level="error")
                await asyncio.sleep(delay)
                delay *= 2

    async def _try(
        self, make_invocation: Callable[[], LocalInvocation], headers: Headers
    ) -> tuple[LocalInvocation, Failure | None]:
        """Make one attempt. Repeat the invocation while it is throttled.

        Return the invocation and its failure. The failure is None if the invocation succeeded.
        """
        backoff = _FIRST_BACKOFF
        while True:
            invocation = make_invocation()
            record = invocation.record
            self.pipeline.ring.begin(record)
            answer = await self.pipeline.invoke(invocation, headers, source="Event")
            if not (isinstance(answer, Failure) and answer.error_type == THROTTLED):
                break
            record.add_failure(answer)
            self.pipeline.ring.end(record)
            await asyncio.sleep(backoff)
            backoff = min(backoff * 2, _LAST_BACKOFF)
        outcome = answer if isinstance(answer, Failure) else await collect(answer)
        record.duration = record.now()
        why = outcome if isinstance(outcome, Failure) else None
        if why is not None:
            record.add_failure(why)
        self.pipeline.ring.end(record)
        self.pipeline.report(record)
        return invocation, why
