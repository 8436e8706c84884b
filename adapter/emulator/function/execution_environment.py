"""One execution environment of the function: its start, its restore, the invocations in it, and its end.

``live`` reads top to bottom; ``state`` follows the table ENVIRONMENT in ``environment.states``. ``begin`` hands an
invocation over. It is concluded when the environment is done with it, which is checked at every change there, or when
its time is up. An environment that failed, timed out or exited is never used again.

What happens is reported to the scheduler as an ``Update``; the environment knows nothing of the queue and of its
neighbours.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from adapter.emulator.environment.result import EXIT_ERROR, INTERNAL_ERROR, TIMEOUT, Failure, failure
from adapter.emulator.environment.state_tables import (
    ENVIRONMENT,
    EnvironmentEvent,
    EnvironmentState,
    IllegalTransitionError,
    RuntimeState,
)
from adapter.emulator.function.environment_updates import InvocationConcluded, SlotFreed, Started, StartFailed
from adapter.emulator.sandbox.processes import exit_text
from adapter.emulator.sandbox.sandbox import EXTERNAL_GRACE, FAILED, SPINDOWN, TIMED_OUT, Sandbox

if TYPE_CHECKING:
    from adapter.emulator.environment.invocation import LocalInvocation
    from adapter.emulator.function.environment_updates import Update
    from adapter.emulator.function_settings import FunctionSettings
    from adapter.emulator.sandbox.processes import Launch

_MB = 1024 * 1024
# How long a runtime that has answered may take to ask for the next invocation before it counts as busy, in seconds. A
# local client is so close that its next request can be faster.
ASKING_GRACE = 0.1
# How often the memory of all processes is measured, in seconds: that takes some milliseconds each time.
_MEMORY_PERIOD = 1.0

# The reasons for an end that extensions receive; for all other ends SPINDOWN.
_SHUTDOWN_REASONS: dict[EnvironmentEvent | None, str] = {
    EnvironmentEvent.FAILED: FAILED,
    EnvironmentEvent.TIMED_OUT: TIMED_OUT,
}
# What ends an environment whose processes have not failed.
_RETIREMENTS = (EnvironmentEvent.RETIRED, EnvironmentEvent.RECLAIMED, EnvironmentEvent.TIMED_OUT)
_TAKES_INVOCATIONS = (EnvironmentState.IDLE, EnvironmentState.BUSY)
_STARTS = (EnvironmentState.STARTING, EnvironmentState.RESTORING)
_IS_WATCHED = (EnvironmentState.SNAPSHOT, *_TAKES_INVOCATIONS, EnvironmentState.RETIRING)
_ENDS = (EnvironmentState.RETIRING, EnvironmentState.CLOSING)


class ExecutionEnvironment:
    """An execution environment from its first process to its last.

    ``provisioned``: it is started with the function and stays. ``within_invocation``: an earlier init timed out.

    ``emit`` receives the updates, ``notice`` lines for the user, ``show`` the lines of the CloudWatch block.
    ``idle_since`` is in the loop's time.
    """

    def __init__(
        self,
        settings: FunctionSettings,
        launch: Launch,
        *,
        emit: Callable[[Update], None],
        notice: Callable[[str], None],
        show: Callable[[str], None] | None,
        provisioned: bool = False,
        within_invocation: bool = False,
    ) -> None:
        self.provisioned = provisioned
        self.state = EnvironmentState.STARTING
        self.idle_since = 0.0
        self._settings = settings
        self._emit = emit
        self._notice = notice
        self._arn = settings.arn
        self._phase = "invoke" if within_invocation else "init"
        self._initialization_type = settings.initialization_type(provisioned=provisioned)
        self._sandbox = Sandbox(settings, self._initialization_type, launch, show)
        self._log = self._sandbox.log
        self._processes = self._sandbox.processes
        self._apis = self._sandbox.apis
        self._apis.on_change = self._on_change
        self._loop = asyncio.get_running_loop()
        # Done when the environment closes; it has an exception if the emulator has a fault.
        self._closing: asyncio.Future[None] = self._loop.create_future()
        # What led to its end, and in which state.
        self._ended_by: EnvironmentEvent | None = None
        self._ended_in: EnvironmentState | None = None
        # For the first invocation: the seconds that it waited for init and for the restore, and the part of its time
        # that is spent.
        self._cold_start: tuple[float | None, float | None] = (None, None)
        self._spent = 0.0
        # The start of each invocation by the monotonic clock, and the timer that ends it.
        self._running: dict[LocalInvocation, tuple[float, asyncio.TimerHandle]] = {}
        self._served = 0
        self._asks_until = 0.0
        # When the last invocation ended, or the environment opened, in the loop's time.
        self._unused_since = 0.0
        # What ends an environment that is idle, and when.
        self._idle_timer: asyncio.TimerHandle | None = None
        self._idle_until = math.inf
        # The most memory used so far, in bytes; None if it is unknown.
        self._memory: int | None = None
        self._memory_measured_at = -_MEMORY_PERIOD
        self._is_warned_of_memory = False

    # --- for the scheduler -----------------------------------------------------------------------------------------

    @property
    def is_free(self) -> bool:
        """Whether an invocation can be handed over now."""
        # Not before the last invocation is concluded: the log lines of two would be mixed up.
        return (
            self.state in _TAKES_INVOCATIONS
            and len(self._running) < self._settings.max_concurrency
            and self._apis.is_ready
        )

    def coming_slots(self, now: float) -> int:
        """Return how many more invocations it will soon take. ``now`` is the loop's time."""
        return self._settings.max_concurrency if self.state in _STARTS else self.asking_slots(now)

    def asking_slots(self, now: float) -> int:
        """Return how many slots have answered and are about to ask for the next invocation."""
        if self.state not in _TAKES_INVOCATIONS:
            return 0
        apis = self._apis
        asking = apis.slots - apis.unanswered - (apis.waiting_slots if self.is_free else 0)
        if asking:
            self._asks_until = self._asks_until or now + ASKING_GRACE
        return asking if now < self._asks_until else 0

    @property
    def is_closing(self) -> bool:
        """Whether its place will soon be free."""
        return self.state is EnvironmentState.CLOSING

    @property
    def has_failed_to_start(self) -> bool:
        """Whether it failed or timed out before it took invocations."""
        return self._ended_by in _SHUTDOWN_REASONS and self._ended_in in (*_STARTS, EnvironmentState.SNAPSHOT)

    @property
    def restarts_init(self) -> bool:
        """Whether its init has timed out and is to start again within the first invocation."""
        timed_out_in = self._ended_in if self._ended_by is EnvironmentEvent.TIMED_OUT else None
        return timed_out_in is EnvironmentState.STARTING and self._phase == "init"

    def status(self, now: float) -> dict[str, Any]:
        """Return its state as JSON has it. ``now`` is the loop's time."""
        state = self.state
        if state is EnvironmentState.RETIRING or (state is EnvironmentState.IDLE and not self._apis.waiting_slots):
            state = EnvironmentState.BUSY
        is_idle = self.is_free and not self._running
        return {
            "state": state.value,
            "initializationType": self._initialization_type,
            "invocations": self._served,
            "running": len(self._running),
            "idleSeconds": round(now - self.idle_since, 3) if is_idle else 0,
            "retired": self._ended_by in _RETIREMENTS and not self.has_failed_to_start,
            "frozen": self._processes.is_frozen,
        }

    def request_restore(self) -> None:
        """Let the snapshot be restored. Raises IllegalTransitionError if it is not one."""
        self._advance(EnvironmentEvent.RESTORE)
        self._apis.condition.notify()

    def retire(self) -> None:
        """Take no more invocations, and end when those that it has are over."""
        if (self.state, EnvironmentEvent.RETIRED) in ENVIRONMENT:
            self._advance(EnvironmentEvent.RETIRED)
            self._apis.condition.notify()

    def age(self, seconds: float) -> None:
        """Count as idle for ``seconds`` longer."""
        self.idle_since -= seconds
        self._rest()

    def begin(self, invocation: LocalInvocation) -> None:
        """Take an invocation. Raises IllegalTransitionError if it takes none now."""
        if self._processes.is_frozen:
            self._processes.thaw()
        invocation.init_seconds, invocation.restore_seconds = self._cold_start
        seconds = self._settings.timeout - self._spent
        self._cold_start, self._spent, self._asks_until = (None, None), 0.0, 0.0
        timer = self._loop.call_later(seconds, self._guarded, self._time_out, invocation)
        self._running[invocation] = time.monotonic(), timer
        self._advance(EnvironmentEvent.INVOKED)
        invocation.kill_app = self._processes.kill_app
        self._log.invocation_started(invocation)
        invocation.deadline_ms = int((time.time() + seconds) * 1000)
        invocation.invoked_function_arn = invocation.invoked_function_arn or self._arn
        self._apis.invoke(invocation)

    def break_off(self, fault: IllegalTransitionError) -> None:
        """End because of a fault of the emulator, which ``live`` raises."""
        if not self._closing.done():
            self._closing.set_exception(fault)

    # --- its life --------------------------------------------------------------------------------------------------

    async def live(self) -> None:
        """Start, serve and end. Raises IllegalTransitionError, in an ExceptionGroup, if the emulator has a fault."""
        async with self._sandbox.open():
            try:
                await self._initialize()
                if self.state in (EnvironmentState.SNAPSHOT, EnvironmentState.RESTORING):
                    await self._restore()
                await self._closing
            finally:
                self._close()
        self._advance(EnvironmentEvent.ENDED)

    async def _initialize(self) -> None:
        apis, is_restart = self._apis, self._phase == "invoke"
        limit = self._settings.timeout if is_restart else self._settings.init_limit_for(self._initialization_type)
        self._log.init_started(self._phase)
        took = await self._complete(limit, lambda: apis.is_initialized)
        if took is None:
            return
        has_failed = self.has_failed_to_start
        self._log.init_ended(self._phase, took, self._why_ended("") if has_failed else None)
        self._sandbox.close_registration()
        if self.restarts_init:
            names = apis.extensions.uninitialized
            hint = f" (it waits for {', '.join(names)})" if names else ""
            self._notice(f"init takes more than {limit:g} s{hint}; it starts again within the first invocation")
        elif has_failed:
            await self._report_failed_start("init")
        elif apis.runtime is RuntimeState.SNAPSHOT:
            self._advance(EnvironmentEvent.SNAPSHOT_TAKEN)
            self._emit(Started(f"the snapshot is ready, init took {took:.2f} s"))
            self._rest()
        else:
            self._spent = took if is_restart else 0.0
            self._open((took, None), f"the environment is warm, init took {took:.2f} s")

    async def _restore(self) -> None:
        """Under SnapStart: wait until an invocation needs the environment, and restore it."""
        apis = self._apis
        await apis.condition.wait_for(lambda: self.state is not EnvironmentState.SNAPSHOT)
        if self.is_closing:
            return
        self._processes.thaw()
        self._log.restore_started()
        apis.restore()
        took = await self._complete(self._settings.restore_limit, lambda: apis.is_ready)
        if took is None:
            return
        has_failed = self.has_failed_to_start
        self._log.restore_ended(took, self._why_ended("") if has_failed else None)
        if has_failed:
            await self._report_failed_start("restore")
        else:
            self._open((None, took), f"the environment is restored, that took {took:.2f} s")

    async def _complete(self, seconds: float, condition: Callable[[], bool]) -> float | None:
        """Wait until a phase of the start is over, at most ``seconds``; return how long it took, None after ``retire``.

        It succeeds when ``condition`` holds, and fails when a process ends.
        """
        apis, began = self._apis, time.monotonic()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await apis.condition.wait_for(lambda: condition() or apis.has_ended or self.is_closing)
        if self.is_closing:
            return None
        if apis.has_ended or not condition():
            self._advance(EnvironmentEvent.FAILED if apis.has_ended else EnvironmentEvent.TIMED_OUT)
        return time.monotonic() - began

    async def _report_failed_start(self, phase: str) -> None:
        self._emit(StartFailed(phase, self._why_ended))
        await self._sandbox.wait_for_runtime_exit(EXTERNAL_GRACE)

    def _open(self, cold_start: tuple[float | None, float | None], notice: str) -> None:
        self._advance(EnvironmentEvent.OPENED)
        self.idle_since = self._unused_since = self._loop.time()
        # Only an invocation that is handed over at once has waited for it.
        self._cold_start = cold_start
        self._emit(Started(notice))
        self._cold_start = (None, None)
        self._rest()

    def _close(self) -> None:
        """Stop serving, and fail the invocations that are left; the processes are ended next."""
        if not self.is_closing:
            self._advance(EnvironmentEvent.STOPPED)
        self._sandbox.shutdown_reason = _SHUTDOWN_REASONS.get(self._ended_by, SPINDOWN)
        self._apis.on_change = None
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        for invocation in tuple(self._running):
            self._release(invocation)
            # Without effect if the function was stopped, which has answered them.
            invocation.reply.fail(failure(INTERNAL_ERROR, "adapter dev has a fault and ended the environment"))
            invocation.finish()
            self._emit(InvocationConcluded(invocation))

    def _advance(self, event: EnvironmentEvent) -> None:
        before, self.state = self.state, ENVIRONMENT[self.state, event]
        if self.state in _ENDS and event is not EnvironmentEvent.ALL_CONCLUDED:
            self._ended_in, self._ended_by = before, event
        if self.state is EnvironmentState.CLOSING and not self._closing.done():
            self._closing.set_result(None)

    # --- the invocations in it -------------------------------------------------------------------------------------

    def _on_change(self) -> None:
        if self.state in _IS_WATCHED:
            self._guarded(self._conclude_what_is_over)

    def _guarded(self, action: Callable[..., None], *arguments: Any) -> None:
        """Run ``action``; a fault of the emulator ends the environment, and not the caller."""
        try:
            action(*arguments)
        except IllegalTransitionError as fault:
            self.break_off(fault)

    def _conclude_what_is_over(self) -> None:
        apis = self._apis
        over = [each for each in self._running if apis.has_ended or apis.is_done_with(each)]
        if apis.has_ended:
            is_news = all(invocation.reply.is_complete for invocation in over)
            for invocation in over:
                invocation.reply.fail(self._why_ended(invocation.request_id))
            self._conclude(over, EnvironmentEvent.FAILED)
            if is_news:
                self._notice_end()
        elif over:
            self._conclude(over, EnvironmentEvent.ALL_CONCLUDED)
        elif self.is_free:
            self._emit(SlotFreed())
        self._rest()

    def _time_out(self, invocation: LocalInvocation) -> None:
        invocation.reply.fail(self._why_ended(invocation.request_id))
        is_only_one = self._apis.slots == 1
        self._conclude([invocation], EnvironmentEvent.TIMED_OUT if is_only_one else EnvironmentEvent.ALL_CONCLUDED)
        self._rest()

    def _conclude(self, over: list[LocalInvocation], event: EnvironmentEvent) -> None:
        """Conclude invocations; ``event`` happens if none is left."""
        now = self._loop.time()
        for invocation in over:
            took = time.monotonic() - self._release(invocation)
            self._measure_memory(now)
            self._log.invocation_ended(invocation, took, self._memory)
            self._apis.forget(invocation)
            self._served += 1
            self.idle_since = self._unused_since = now
            invocation.finish()
        if not self._running:
            self._advance(event)
        for invocation in over:
            self._emit(InvocationConcluded(invocation))

    def _release(self, invocation: LocalInvocation) -> float:
        """Let an invocation go; return when it began."""
        began, timer = self._running.pop(invocation)
        timer.cancel()
        invocation.kill_app = None
        return began

    def _measure_memory(self, now: float) -> None:
        """Update the most memory used so far, if the last measurement is old, and warn once if it is too much."""
        if now - self._memory_measured_at < _MEMORY_PERIOD:
            return
        self._memory_measured_at = now
        measured, limit = self._processes.peak_memory(), self._settings.memory
        if measured is None:
            return
        self._memory = memory = max(measured, self._memory or 0)
        if memory > limit * _MB and not self._is_warned_of_memory:
            self._is_warned_of_memory = True
            self._notice(
                f"an environment has used {memory / _MB:.0f} MB, --memory allows {limit} MB: Lambda would have ended it"
            )

    # --- while it has none -----------------------------------------------------------------------------------------

    def _rest(self) -> None:
        """Freeze an environment without invocations, and set the time at which it ends if it gets none."""
        if self._running:
            return
        if self._settings.freeze and (self.state is EnvironmentState.SNAPSHOT or self.is_free):
            self._processes.freeze()
        if self.state is EnvironmentState.IDLE:
            deadline = self._idle_deadline
            # A timer that fires too early is set again; the deadline moves with each invocation.
            if deadline < self._idle_until:
                if self._idle_timer is not None:
                    self._idle_timer.cancel()
                self._idle_until = deadline
                self._idle_timer = self._loop.call_at(deadline, self._guarded, self._end_if_idle)

    @property
    def _idle_deadline(self) -> float:
        """When an environment without invocations ends, in the loop's time; infinity: never."""
        if not self._apis.is_ready:
            # The runtime has closed its connection, and may be about to ask again.
            return max(self._unused_since, self._apis.disconnected_at) + self._settings.timeout
        if self._settings.idle_reclaim is None or self.provisioned:
            return math.inf
        return self.idle_since + self._settings.idle_reclaim

    def _end_if_idle(self) -> None:
        self._idle_until, self._idle_timer = math.inf, None
        if self.state is EnvironmentState.IDLE and self._idle_deadline <= self._loop.time():
            why = "was idle and is reclaimed" if self._apis.is_ready else "asks for no invocation and is ended"
            self._notice(f"an environment {why}; the next request may be a cold start")
            self._advance(EnvironmentEvent.RECLAIMED)
        else:
            self._rest()

    # --- failures and notices --------------------------------------------------------------------------------------

    def _why_ended(self, request_id: str) -> Failure:
        """Return why an invocation, or the start of the environment, failed."""
        apis = self._apis
        if apis.failure is not None:
            return apis.failure
        if apis.exit_code is not None:
            error = f"Runtime exited with error: {exit_text(apis.exit_code)}"
            return failure(EXIT_ERROR, f"RequestId: {request_id} Error: {error}")
        what, seconds = "Task", self._settings.timeout
        if self._ended_in is EnvironmentState.RESTORING:
            what, seconds = "Restore", self._settings.restore_limit
        return failure(TIMEOUT, f"RequestId: {request_id} Error: {what} timed out after {seconds:.2f} seconds")

    def _notice_end(self) -> None:
        why = self._apis.failure
        how = f"{why.error_type}: {why.message}" if why else exit_text(self._apis.exit_code or 0)
        self._notice(f"the environment ended ({how}), the next request starts one")
