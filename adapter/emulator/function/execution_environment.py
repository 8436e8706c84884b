"""One execution environment of the function: its start, its restore, the invocations in it, and its end.

``live`` runs all phases in their order. ``state`` follows the ENVIRONMENT table in ``environment.state_tables``.
``begin`` starts an invocation. After every change of the ApiState, the environment checks which invocations have ended.
An invocation that has ended or timed out is concluded: its end is logged, and its slot becomes free. An environment
that has failed or timed out is never used again.

The environment reports each ``Update`` to the scheduler. It has no access to the queue or to other environments.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections import deque
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
    from adapter.emulator.notice import Notice
    from adapter.emulator.sandbox.processes import Launch

_MB = 1024 * 1024
# The time after an answer within which a runtime is expected to ask for the next invocation, in seconds. The next
# request of a local client can arrive before the runtime asks, and that request should not cause a cold start.
ASKING_GRACE = 0.1
# The minimum time between two measurements of the memory, in seconds. A measurement takes some milliseconds.
_MEMORY_PERIOD = 1.0
# The number of changes of the state that are kept.
_MOST_CHANGES = 200

# The event that ended the environment → the shutdown reason that extensions receive. All other events mean SPINDOWN.
_SHUTDOWN_REASONS: dict[EnvironmentEvent | None, str] = {
    EnvironmentEvent.FAILED: FAILED,
    EnvironmentEvent.TIMED_OUT: TIMED_OUT,
}
# The events that end an environment whose processes have not failed.
_RETIREMENTS = (EnvironmentEvent.RETIRED, EnvironmentEvent.RECLAIMED, EnvironmentEvent.TIMED_OUT)
_TAKES_INVOCATIONS = (EnvironmentState.IDLE, EnvironmentState.BUSY)
_STARTS = (EnvironmentState.STARTING, EnvironmentState.RESTORING)
_IS_WATCHED = (EnvironmentState.SNAPSHOT, *_TAKES_INVOCATIONS, EnvironmentState.RETIRING)
_ENDS = (EnvironmentState.RETIRING, EnvironmentState.CLOSING)


class ExecutionEnvironment:
    """An execution environment, from the start of its first process to the end of its last.

    ``number`` identifies the environment within one run of the emulator. ``changes`` contains the environment's
    latest states, each with the event loop's time at which the state began; the state None means that the processes are
    frozen. ``memory`` is the environment's peak memory in bytes, or None if unknown.

    If ``provisioned`` is True, the environment is started without an invocation and is never reclaimed. If
    ``within_invocation`` is True, init repeats an earlier init that timed out, and the duration of the repeated init
    counts towards the timeout of the first invocation.

    ``emit`` is called with each ``Update``, ``notice`` with each line for the user, and ``show`` with each line of the
    CloudWatch log. ``idle_since`` is the event loop's time when the environment last became idle.
    """

    def __init__(
        self,
        settings: FunctionSettings,
        launch: Launch,
        *,
        emit: Callable[[Update], None],
        notice: Notice,
        show: Callable[[str], None] | None,
        number: int = 0,
        provisioned: bool = False,
        within_invocation: bool = False,
    ) -> None:
        self.number = number
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
        self.changes: deque[tuple[float, EnvironmentState | None]] = deque(maxlen=_MOST_CHANGES)
        self.changes.append((self._loop.time(), self.state))
        # Done when the environment closes. Its exception is an internal error of the emulator.
        self._closing: asyncio.Future[None] = self._loop.create_future()
        # The event that led to the end of the environment, and the state in which the event happened.
        self._ended_by: EnvironmentEvent | None = None
        self._ended_in: EnvironmentState | None = None
        # For the first invocation: the seconds that init and the restore took, and the seconds that init has used of
        # the invocation's timeout.
        self._cold_start: tuple[float | None, float | None] = (None, None)
        self._spent = 0.0
        # For each running invocation: its start by the monotonic clock, and the timer of its timeout.
        self._running: dict[LocalInvocation, tuple[float, asyncio.TimerHandle]] = {}
        self._served = 0
        self._asks_until = 0.0
        # The event loop's time when the last invocation ended or, before the first one, when the environment was ready.
        self._unused_since = 0.0
        # The timer that ends an idle environment, and the event loop's time at which the timer fires.
        self._idle_timer: asyncio.TimerHandle | None = None
        self._idle_until = math.inf
        self.memory: int | None = None
        self._memory_measured_at = -_MEMORY_PERIOD
        self._is_warned_of_memory = False

    # --- for the scheduler -----------------------------------------------------------------------------------------

    @property
    def is_free(self) -> bool:
        """Whether the environment can start an invocation now: it has a free slot, and all processes are ready."""
        # An invocation may be answered but not yet concluded. The next invocation must wait until it is concluded.
        # Otherwise the log lines of the two would mix.
        return (
            self.state in _TAKES_INVOCATIONS
            and len(self._running) < self._settings.max_concurrency
            and self._apis.is_ready
        )

    def coming_slots(self, now: float) -> int:
        """Return how many slots of the environment will soon be free.

        While the environment is starting or being restored, these are all its slots. Otherwise, this is the number
        from ``asking_slots``. ``now`` is the event loop's time.
        """
        return self._settings.max_concurrency if self.state in _STARTS else self.asking_slots(now)

    def asking_slots(self, now: float) -> int:
        """Return how many of the runtime's slots have answered and will probably ask for the next invocation soon.

        The first call of this method after an answer starts a period of ASKING_GRACE seconds. After this period, the
        method returns 0. ``now`` is the event loop's time.
        """
        if self.state not in _TAKES_INVOCATIONS:
            return 0
        apis = self._apis
        asking = apis.slots - apis.unanswered - (apis.waiting_slots if self.is_free else 0)
        if asking:
            self._asks_until = self._asks_until or now + ASKING_GRACE
        return asking if now < self._asks_until else 0

    @property
    def is_serving(self) -> bool:
        """Whether the environment is warm: it is serving an invocation, or can serve one."""
        return self.state in _TAKES_INVOCATIONS

    @property
    def is_closing(self) -> bool:
        """Whether the environment is ending its processes. Once they have ended, a new environment can replace it."""
        return self.state is EnvironmentState.CLOSING

    @property
    def has_failed_to_start(self) -> bool:
        """Whether the environment failed or timed out before it accepted invocations."""
        return self._ended_by in _SHUTDOWN_REASONS and self._ended_in in (*_STARTS, EnvironmentState.SNAPSHOT)

    @property
    def restarts_init(self) -> bool:
        """Whether init timed out at its first attempt. If so, a new environment repeats init within an invocation."""
        timed_out_in = self._ended_in if self._ended_by is EnvironmentEvent.TIMED_OUT else None
        return timed_out_in is EnvironmentState.STARTING and self._phase == "init"

    def status(self, now: float) -> dict[str, Any]:
        """Return the status of the environment, ready to encode as JSON. ``now`` is the event loop's time."""
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
        """Start to restore the snapshot. Raises IllegalTransitionError if the environment's state is not SNAPSHOT."""
        self._advance(EnvironmentEvent.RESTORE)
        self._apis.condition.notify()

    def retire(self) -> None:
        """Accept no more invocations, and end once all running invocations have ended.

        This has no effect if the environment is already ending.
        """
        if (self.state, EnvironmentEvent.RETIRED) in ENVIRONMENT:
            self._advance(EnvironmentEvent.RETIRED)
            self._apis.condition.notify()

    def age(self, seconds: float) -> None:
        """Move ``idle_since`` back by ``seconds``, as if the environment had been idle for longer."""
        self.idle_since -= seconds
        self._rest()

    def begin(self, invocation: LocalInvocation) -> None:
        """Start ``invocation``. ``is_free`` must be True.

        Raises IllegalTransitionError if the environment's state does not allow an invocation.
        """
        if self._processes.is_frozen:
            self._processes.thaw()
        seconds = self._settings.timeout - self._spent
        invocation.deadline_ms = int((time.time() + seconds) * 1000)
        invocation.record.begin(self.number, self._cold_start, invocation.deadline_ms)
        self._cold_start, self._spent, self._asks_until = (None, None), 0.0, 0.0
        timer = self._loop.call_later(seconds, self._guarded, self._time_out, invocation)
        self._running[invocation] = time.monotonic(), timer
        self._advance(EnvironmentEvent.INVOKED)
        invocation.kill_app = self._processes.kill_app
        self._log.invocation_started(invocation)
        invocation.invoked_function_arn = invocation.invoked_function_arn or self._arn
        self._apis.invoke(invocation)

    def break_off(self, fault: IllegalTransitionError) -> None:
        """End the environment because of ``fault``, an internal error of the emulator.

        As a consequence, ``live`` raises an ExceptionGroup that contains ``fault``.
        """
        if not self._closing.done():
            self._closing.set_exception(fault)

    # --- life cycle ------------------------------------------------------------------------------------------------

    async def live(self) -> None:
        """Start the environment, serve invocations, and end the processes.

        If the emulator has an internal error, raises an ExceptionGroup that contains an IllegalTransitionError.
        """
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
            hint = f" (waiting for {', '.join(names)})" if names else ""
            text = f"init takes more than {limit:g} s{hint}; init is repeated within the first invocation"
            self._notice(text, level="error")
        elif has_failed:
            await self._report_failed_start("init")
        elif apis.runtime is RuntimeState.SNAPSHOT:
            self._advance(EnvironmentEvent.SNAPSHOT_TAKEN)
            self._emit(Started(f"the snapshot is ready, after {took:.2f} s of init"))
            self._rest()
        else:
            self._spent = took if is_restart else 0.0
            self._open((took, None), f"the environment is warm, after {took:.2f} s of init")

    async def _restore(self) -> None:
        """Wait until an invocation needs the snapshot (SnapStart), and restore it."""
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
            self._open((None, took), f"the environment is restored, after {took:.2f} s")

    async def _complete(self, seconds: float, condition: Callable[[], bool]) -> float | None:
        """Wait until the phase (init or restore) has ended. Return the duration in seconds.

        Returns None if ``retire`` was called during the phase. The phase succeeds when ``condition()`` becomes true.
        The phase fails if a process ends or reports an error, and times out after ``seconds``. After a failure or a
        timeout, this method changes the environment's state.
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
        # Only an invocation that starts during this call of ``_emit`` has waited for the cold start.
        self._cold_start = cold_start
        self._emit(Started(notice))
        self._cold_start = (None, None)
        self._rest()

    def _close(self) -> None:
        """Stop serving, and fail the running invocations. The caller ends the processes afterwards."""
        if not self.is_closing:
            self._advance(EnvironmentEvent.STOPPED)
        self._sandbox.shutdown_reason = _SHUTDOWN_REASONS.get(self._ended_by, SPINDOWN)
        self._apis.on_change = None
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        for invocation in tuple(self._running):
            self._release(invocation)
            # No effect if the function was stopped, because the function has already failed all its invocations.
            invocation.reply.fail(failure(INTERNAL_ERROR, "an internal error of adapter dev ended the environment"))
            invocation.finish()
            self._emit(InvocationConcluded(invocation))

    def _advance(self, event: EnvironmentEvent) -> None:
        before, self.state = self.state, ENVIRONMENT[self.state, event]
        if self.state is not before:
            self.changes.append((self._loop.time(), self.state))
        if self.state in _ENDS and event is not EnvironmentEvent.ALL_CONCLUDED:
            self._ended_in, self._ended_by = before, event
        if self.state is EnvironmentState.CLOSING and not self._closing.done():
            self._closing.set_result(None)

    # --- running invocations ---------------------------------------------------------------------------------------

    def _on_change(self) -> None:
        if self.state in _IS_WATCHED:
            self._guarded(self._conclude_what_is_over)

    def _guarded(self, action: Callable[..., None], *arguments: Any) -> None:
        """Run ``action``. If it raises IllegalTransitionError, end the environment instead of raising."""
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
        """Conclude the invocations in ``over``: log the end of each, and free its slot.

        If no invocation is running after this, apply ``event`` to the environment's state.
        """
        now = self._loop.time()
        for invocation in over:
            took = time.monotonic() - self._release(invocation)
            self._measure_memory(now)
            self._log.invocation_ended(invocation, took, self.memory)
            self._apis.forget(invocation)
            self._served += 1
            self.idle_since = self._unused_since = now
            invocation.finish()
        if not self._running:
            self._advance(event)
        for invocation in over:
            self._emit(InvocationConcluded(invocation))

    def _release(self, invocation: LocalInvocation) -> float:
        """Remove a running invocation and cancel its timer. Return the invocation's start (``time.monotonic()``)."""
        began, timer = self._running.pop(invocation)
        timer.cancel()
        invocation.kill_app = None
        return began

    def _measure_memory(self, now: float) -> None:
        """Update the peak memory, at most once per _MEMORY_PERIOD. Warn once if the peak exceeds ``--memory``."""
        if now - self._memory_measured_at < _MEMORY_PERIOD:
            return
        self._memory_measured_at = now
        measured, limit = self._processes.peak_memory(), self._settings.memory
        if measured is None:
            return
        self.memory = memory = max(measured, self.memory or 0)
        if memory > limit * _MB and not self._is_warned_of_memory:
            self._is_warned_of_memory = True
            text = f"an environment has used {memory / _MB:.0f} MB, more than --memory allows ({limit} MB)"
            self._notice(f"{text}; Lambda would have ended this environment", level="warn")

    # --- without running invocations -------------------------------------------------------------------------------

    def _rest(self) -> None:
        """If no invocation is running, set the idle timer and, with ``--freeze``, freeze the processes."""
        if self._running:
            return
        if self._settings.freeze and (self.state is EnvironmentState.SNAPSHOT or self.is_free):
            self._processes.freeze()
            if self.changes[-1][1] is not None:
                self.changes.append((self._loop.time(), None))
        if self.state is EnvironmentState.IDLE:
            deadline = self._idle_deadline
            # Each invocation moves the deadline, but not the timer. If the timer fires too early, it is set again.
            if deadline < self._idle_until:
                if self._idle_timer is not None:
                    self._idle_timer.cancel()
                self._idle_until = deadline
                self._idle_timer = self._loop.call_at(deadline, self._guarded, self._end_if_idle)

    @property
    def _idle_deadline(self) -> float:
        """If no invocation starts, the environment ends at this time of the event loop. Infinity means never."""
        if not self._apis.is_ready:
            # The runtime is not waiting for an invocation, but may still ask for one on a new connection.
            return max(self._unused_since, self._apis.disconnected_at) + self._settings.timeout
        if self._settings.idle_reclaim is None or self.provisioned:
            return math.inf
        return self.idle_since + self._settings.idle_reclaim

    def _end_if_idle(self) -> None:
        self._idle_until, self._idle_timer = math.inf, None
        if self.state is EnvironmentState.IDLE and self._idle_deadline <= self._loop.time():
            why = (
                "was idle and is reclaimed" if self._apis.is_ready else "did not ask for an invocation in time and ends"
            )
            self._notice(f"an environment {why}; the next request may be a cold start")
            self._advance(EnvironmentEvent.RECLAIMED)
        else:
            self._rest()

    # --- failures and notices --------------------------------------------------------------------------------------

    def _why_ended(self, request_id: str) -> Failure:
        """Return the failure that ended the invocation with ``request_id``.

        If ``request_id`` is empty, return the failure that ended init or the restore.
        """
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
        self._notice(f"the environment ended ({how}); the next request starts a new environment", level="error")
