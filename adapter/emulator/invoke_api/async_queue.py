"""Asynchronous invocations: a queue in memory, two retries, and a line instead of an on-failure destination.

A function error is tried again after a delay, and once more after twice the delay (one and two minutes on Lambda). An
invocation that is throttled does not count as tried: it goes back to the queue. What is in the queue when the emulator
ends is lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from adapter.emulator.environment.result import STOPPED, THROTTLED, Failure, collect
from adapter.emulator.requests.request_record import RequestRecord

if TYPE_CHECKING:
    from adapter.emulator.environment.invocation import LocalInvocation
    from adapter.emulator.requests.pipeline import InvocationPipeline
    from adapter.payload.headers import Headers

# How often an event is tried in all (Lambda, "Asynchronous invocation": two retries).
ATTEMPTS = 3
# How long a throttled event waits, in seconds: from one second up to five minutes (the same page).
_FIRST_BACKOFF, _LAST_BACKOFF = 1.0, 300.0
# The Invoke API has answered by then; this is the status that it gave.
_ACCEPTED = 202


class AsyncInvocations:
    """The queue. ``group`` holds what is under way, ``delay`` is in seconds, ``notice`` shows a line to the user."""

    def __init__(
        self,
        entrance: InvocationPipeline,
        group: asyncio.TaskGroup,
        notice: Callable[[str], None],
        report: Callable[[RequestRecord], None],
        *,
        delay: float,
    ) -> None:
        self._entrance = entrance
        self._group = group
        self._notice = notice
        self._report = report
        self._delay = delay
        self._tasks: set[asyncio.Task[None]] = set()

    def accept(self, make_call: Callable[[], LocalInvocation], headers: Headers) -> None:
        """Take an event; ``make_call`` makes the call of each attempt, all with one request id."""
        task = self._group.create_task(self._run(make_call, headers))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def drop(self) -> None:
        """Give up what is in the queue and under way."""
        if self._tasks:
            self._notice(f"asynchronous invocations that are lost: {len(self._tasks)}")
        for task in self._tasks:
            task.cancel()

    async def _run(self, make_call: Callable[[], LocalInvocation], headers: Headers) -> None:
        delay = self._delay
        for attempt in range(1, ATTEMPTS + 1):
            call, why = await self._try(make_call, headers)
            if why is None:
                return
            if why.error_type == STOPPED:
                self._notice(f"{call.label} ({call.request_id}) was under way and is lost")
                return
            told = f"{call.label} ({call.request_id}): attempt {attempt} of {ATTEMPTS} failed: {_text(why)}"
            if attempt == ATTEMPTS:
                self._notice(f"{told}; on Lambda the event would go to the on-failure destination now")
            else:
                self._notice(f"{told}; the next one is in {delay:g} s (--retry-delay)")
                await asyncio.sleep(delay)
                delay *= 2

    async def _try(
        self, make_call: Callable[[], LocalInvocation], headers: Headers
    ) -> tuple[LocalInvocation, Failure | None]:
        """One attempt, as soon as the function takes it: the call, and how it failed."""
        backoff = _FIRST_BACKOFF
        clock = asyncio.get_running_loop().time
        while True:
            call = make_call()
            begun = clock()
            answer = await self._entrance.admit(call, headers, source="Event").answer()
            if not (isinstance(answer, Failure) and answer.error_type == THROTTLED):
                break
            await asyncio.sleep(backoff)
            backoff = min(backoff * 2, _LAST_BACKOFF)
        outcome = answer if isinstance(answer, Failure) else await collect(answer)
        why = outcome if isinstance(outcome, Failure) else None
        visit = RequestRecord(method="", target=f"{call.label}, answered", status=_ACCEPTED, request_id=call.request_id)
        visit.duration = clock() - begun
        visit.init, visit.restore = call.init_seconds, call.restore_seconds
        if why is not None:
            visit.error_type, visit.error_message = why.error_type, why.message
        self._report(visit)
        return call, why


def _text(why: Failure) -> str:
    return f"{why.error_type}: {why.message}" if why.message else why.error_type
