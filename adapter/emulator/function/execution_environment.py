"""One place for an environment in the function: its init, its restore, the calls in it, its end.

    starting ─► open ─► closing        with SnapStart: starting ─► snapshot ─► restoring ─► open

``live`` reads top to bottom. ``begin`` hands over a call; it is over as soon as the environment is done with it, which
is looked at with every change there, or when its time is up. An environment that failed, timed out or exited is never
used again.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Protocol

from adapter.emulator.environment.lifecycle import Phase
from adapter.emulator.environment.result import EXIT_ERROR, TIMEOUT, Failure, failure
from adapter.emulator.sandbox.processes import exit_text
from adapter.emulator.sandbox.sandbox import FAILED, TIMED_OUT, Sandbox, open_sandbox, until_exited
from adapter.emulator.sandbox.shutdown import EXTERNAL_GRACE
from adapter.payload.messages import Invocation

if TYPE_CHECKING:
    from adapter.emulator.environment.environment import Environment
    from adapter.emulator.environment.invocation import LocalInvocation
    from adapter.emulator.sandbox.processes import Launch
    from adapter.emulator.settings import FunctionSettings

_MB = 1024 * 1024
# How long a runtime that has answered may take to ask for the next invocation before that counts as being busy, in
# seconds. A client here is so near that its next request can be faster.
ASKING_GRACE = 0.1


class Stage(Enum):
    """Where a tenure is."""

    STARTING = "starting"
    SNAPSHOT = "snapshot"
    RESTORING = "restoring"
    OPEN = "open"
    CLOSING = "closing"


class Function(Protocol):
    """What a tenure needs of the function that it is part of."""

    settings: FunctionSettings
    launch: Launch

    def notice(self, text: str) -> None:
        """Tell the user."""

    def show(self, line: str) -> None:
        """Show a line of the CloudWatch block."""

    def has_waiting(self) -> bool:
        """Whether a call waits for an environment."""

    def fail_first(self, why: Callable[[str], Failure]) -> bool:
        """Fail the call that has waited longest, given its request id; False where none waits."""

    def over(self, call: LocalInvocation) -> None:
        """A call that was handed over is over."""

    def serve(self) -> None:
        """Hand calls that wait to environments that are free."""


class ExecutionEnvironment:
    """``provisioned``: it is there from the start and stays. ``within_invocation``: an earlier init took too long.

    ``retired``: no more calls come here, it ends after those that it has. ``overran``: init took too long, and nobody
    was told that it failed, since it starts again within the first invocation. ``was_open``: it could serve calls.
    ``idle_since`` is in the loop's time.
    """

    def __init__(self, function: Function, *, provisioned: bool = False, within_invocation: bool = False) -> None:
        self.provisioned = provisioned
        self.stage = Stage.STARTING
        self.retired = False
        self.overran = False
        self.was_open = False
        self.calls = 0
        self.served = 0
        self.idle_since = 0.0
        self.initialization_type = function.settings.initialization_type(provisioned=provisioned)
        self._function = function
        self._loop = asyncio.get_running_loop()
        self._settings = function.settings
        self._phase = "invoke" if within_invocation else "init"
        self._sandbox: Sandbox | None = None
        self._restore_requested = False
        # For the first call: how long it waited for init and for the restore, and how much of its time is spent.
        self._cold: tuple[float | None, float | None] = (None, None)
        self._spent = 0.0
        # Since when each call runs, by the monotonic clock, and what ends it when its time is up.
        self._running: dict[LocalInvocation, tuple[float, asyncio.TimerHandle]] = {}
        # When the last call was over, or the environment opened, in the loop's time.
        self._resting_since = 0.0
        self._asks_until = 0.0
        self._warned = False
        # A caller has been told why the environment ended.
        self._told_end = False

    # --- for the function ------------------------------------------------------------------------------------------

    @property
    def is_free(self) -> bool:
        """Whether a call can be handed over now."""
        if self.stage is not Stage.OPEN or self.retired:
            return False
        # Not before the call that was over is concluded: the lines of two invocations would be mixed up.
        return self.calls < self._settings.max_concurrency and self._environment.ready

    def coming_slots(self, now: float) -> int:
        """How many calls it will soon be free for, beyond those it can take at once. ``now`` is the loop's time."""
        if self.retired:
            return 0
        if self.stage in (Stage.STARTING, Stage.RESTORING) or self._restore_requested:
            return self._settings.max_concurrency
        return self.asking_slots(now)

    def asking_slots(self, now: float) -> int:
        """How many slots have answered, and are about to ask for the next invocation."""
        if self.stage is not Stage.OPEN or self.retired:
            return 0
        lifecycle = self._environment.lifecycle
        asking = lifecycle.slots - lifecycle.unanswered - (lifecycle.waiting if self.is_free else 0)
        if asking:
            self._asks_until = self._asks_until or now + ASKING_GRACE
        return asking if now < self._asks_until else 0

    @property
    def is_snapshot(self) -> bool:
        """Whether it could be restored."""
        return self.stage is Stage.SNAPSHOT and not self.retired and not self._restore_requested

    @property
    def is_frozen(self) -> bool:
        """Whether its processes are stopped."""
        return self._sandbox is not None and self._sandbox.frozen

    @property
    def is_closing(self) -> bool:
        """Whether its place will soon be free."""
        return self.stage is Stage.CLOSING or (self.retired and not self.calls)

    @property
    def state(self) -> str:
        """What it is doing, in one word."""
        return self._environment.lifecycle.state if self.stage is Stage.OPEN else self.stage.value

    def request_restore(self) -> None:
        """Somebody needs this environment."""
        self._restore_requested = True
        self._environment.condition.notify()

    def retire(self) -> None:
        """End when the calls that it has are over."""
        self.retired = True
        if self._sandbox is not None:
            self._environment.condition.notify()

    def age(self, seconds: float) -> None:
        """Count as idle for ``seconds`` longer."""
        self.idle_since -= seconds
        if self._sandbox is not None:
            self._environment.condition.notify()

    def begin(self, call: LocalInvocation) -> None:
        """Hand over a call."""
        sandbox = self._opened
        sandbox.thaw()
        call.init_seconds, call.restore_seconds = self._cold
        seconds = self._settings.timeout - self._spent
        self._cold, self._spent = (None, None), 0.0
        call.kill_app = sandbox.processes.kill_app
        self.calls += 1
        self._asks_until = 0.0
        sandbox.journal.started(call)
        invocation = Invocation(
            request_id=call.request_id,
            event=call.event,
            deadline_ms=int((time.time() + seconds) * 1000),
            trace_id=call.trace_id,
            invoked_function_arn=call.invoked_function_arn or self._settings.arn,
            client_context=call.client_context,
            cognito_identity=call.cognito_identity,
            tenant_id=call.tenant_id,
        )
        timer = self._loop.call_later(seconds, self._time_out, call)
        self._running[call] = time.monotonic(), timer
        self._environment.invoke(call, invocation)

    def _conclude_what_is_over(self) -> None:
        environment = self._environment
        for call in tuple(self._running):
            # To conclude one is a change as well, with which another may have been concluded.
            if call in self._running and (environment.ended or environment.is_done_with(call)):
                self._conclude(call)

    def _time_out(self, call: LocalInvocation) -> None:
        call.reply.fail(self._timed_out(call.request_id))
        if self._environment.lifecycle.slots == 1:
            self._opened.reason = TIMED_OUT
            self.retired = True
        self._conclude(call)

    def _conclude(self, call: LocalInvocation) -> None:
        sandbox, environment = self._opened, self._environment
        begun, timer = self._running.pop(call)
        took = time.monotonic() - begun
        timer.cancel()
        call.kill_app = None
        if environment.ended:
            sandbox.reason = FAILED
            self._told_end = not call.reply.complete
            call.reply.fail(self._why_ended(call.request_id))
        now = self._loop.time()
        memory = sandbox.peak_memory(now)
        sandbox.journal.answered(call, took)
        sandbox.journal.ended(call, took, memory)
        self._warn_above(memory)
        environment.forget(call)
        self.calls -= 1
        self.served += 1
        self.idle_since = self._resting_since = now
        call.finish()
        self._function.over(call)
        self._function.serve()
        environment.condition.notify()
        self._rest()

    def _abandon(self) -> None:
        """Conclude nothing more: whoever waits has been told that the function ends."""
        self._environment.condition.on_change = None
        for call, (_, timer) in self._running.items():
            timer.cancel()
            call.kill_app = None
        self._running.clear()

    # --- its life --------------------------------------------------------------------------------------------------

    async def live(self) -> None:
        """From init to the end."""
        async with open_sandbox(
            self._settings, self.initialization_type, self._function.launch, self._function.show
        ) as sandbox:
            self._sandbox = sandbox
            sandbox.environment.condition.on_change = self._conclude_what_is_over
            try:
                if await self._initialise() and await self._restore():
                    await self._until_end()
            finally:
                self.stage = Stage.CLOSING
                self._abandon()

    async def _initialise(self) -> bool:
        sandbox, environment, begun = self._opened, self._environment, time.monotonic()
        suppressed = self._phase == "invoke"
        limit = self._settings.timeout if suppressed else self._settings.init_limit_for(self.initialization_type)
        sandbox.journal.init_started(self._phase)
        in_time = await _within(
            limit, environment, lambda: environment.initialised or environment.ended or self.retired
        )
        took = time.monotonic() - begun
        if self.retired:
            return False
        environment.extensions.closed = True
        failed = not in_time or environment.ended
        sandbox.journal.init_ended(self._phase, took, self._init_failure("") if failed else None)
        sandbox.journal.telemetry.close()
        if failed:
            await self._fail_init(limit)
            return False
        if environment.lifecycle.phase is Phase.SNAPSHOT:
            self.stage = Stage.SNAPSHOT
            if not self._function.has_waiting():
                self._function.notice(f"the snapshot is ready, init took {took:.2f} s")
        else:
            if suppressed:
                self._spent = took
            self._open((took, None), f"the environment is warm, init took {took:.2f} s")
        return True

    async def _fail_init(self, limit: float) -> None:
        sandbox, environment = self._opened, self._environment
        sandbox.reason = FAILED if environment.ended else TIMED_OUT
        if not environment.ended and self._phase == "init":
            self.overran = True
            waits = [each.name for each in environment.extensions if each.state in ("Started", "Registered")]
            hint = f" (it waits for {', '.join(waits)})" if waits else ""
            self._function.notice(
                f"init takes more than {limit:g} s{hint}; it starts again within the first invocation"
            )
            return
        if not self._function.fail_first(self._init_failure):
            why = self._init_failure("")
            self._function.notice(f"init failed, the next request tries again: {why.error_type}: {why.message}")
        await until_exited(sandbox, EXTERNAL_GRACE)

    async def _restore(self) -> bool:
        """Under SnapStart: wait until somebody needs the environment, and restore it."""
        if self.stage is not Stage.SNAPSHOT:
            return True
        environment = self._environment
        self._function.serve()
        if not self._restore_requested:
            self._rest()
        await environment.condition.wait_for(lambda: self._restore_requested or environment.ended or self.retired)
        is_needed = not (environment.ended or self.retired)
        self.stage, self._restore_requested = Stage.RESTORING if is_needed else Stage.CLOSING, False
        return is_needed and await self._go_on()

    async def _go_on(self) -> bool:
        """Let the runtime go on after its snapshot, and wait until it asks for an invocation."""
        sandbox, environment, begun = self._opened, self._environment, time.monotonic()
        sandbox.thaw()
        sandbox.journal.restore_started()
        environment.restore()
        in_time = await _within(
            self._settings.restore_limit, environment, lambda: environment.ready or environment.ended
        )
        took = time.monotonic() - begun
        failed = not in_time or environment.ended
        sandbox.journal.restore_ended(took, self._restore_failure("") if failed else None)
        if failed:
            sandbox.reason = FAILED if environment.ended else TIMED_OUT
            self._function.fail_first(self._restore_failure)
            await until_exited(sandbox, EXTERNAL_GRACE)
            return False
        self._open((None, took), f"the environment is restored, that took {took:.2f} s")
        return True

    def _open(self, cold: tuple[float | None, float | None], notice: str) -> None:
        self.stage = Stage.OPEN
        self.was_open = True
        self.idle_since = self._resting_since = self._loop.time()
        if self._function.has_waiting():
            self._cold = cold
        else:
            self._function.notice(notice)
        self._function.serve()
        self._rest()

    async def _until_end(self) -> None:
        environment = self._environment
        while not self._is_over:
            if await self._given_up_at(self._deadline()):
                why = "was idle and is reclaimed" if environment.ready else "asks for no invocation and is ended"
                self._function.notice(f"an environment {why}; the next request may be a cold start")
                self.retired = True
        if environment.ended and not self._told_end:
            self._notice_end()

    async def _given_up_at(self, deadline: float) -> bool:
        """Wait until ``deadline`` or a nearer one, or until all is over; whether the environment is to be given up.

        Calls put it off, which is not looked at before it has come: it is nothing to wake up for.
        """
        try:
            async with asyncio.timeout_at(None if deadline == math.inf else deadline):
                await self._environment.condition.wait_for(lambda: self._is_over or self._deadline() < deadline)
        except TimeoutError:
            return self._deadline() <= self._loop.time()
        return False

    @property
    def _is_over(self) -> bool:
        """Whether no call is here and none can come."""
        return not self.calls and (self._environment.ended or self.retired)

    def _deadline(self) -> float:
        """When, in the loop's time, the environment is given up, as it is now; infinity: never."""
        if self.calls:
            return math.inf
        if not self._environment.ready:
            # The runtime has hung up, and may be about to ask again.
            return max(self._resting_since, self._environment.lost_at) + self._settings.timeout
        if self._settings.idle_reclaim is None or self.provisioned:
            return math.inf
        return self.idle_since + self._settings.idle_reclaim

    def _rest(self) -> None:
        """Freeze what has nothing to do."""
        if self._settings.freeze and (self.is_snapshot or (self.is_free and not self.calls)):
            self._opened.freeze()

    # --- what is said ----------------------------------------------------------------------------------------------

    @property
    def _opened(self) -> Sandbox:
        assert self._sandbox is not None, "the sandbox is open"
        return self._sandbox

    @property
    def _environment(self) -> Environment:
        return self._opened.environment

    def _init_failure(self, request_id: str) -> Failure:
        return self._why_ended(request_id) if self._environment.ended else self._timed_out(request_id)

    def _restore_failure(self, request_id: str) -> Failure:
        if self._environment.ended:
            return self._why_ended(request_id)
        limit = self._settings.restore_limit
        return failure(TIMEOUT, f"RequestId: {request_id} Error: Restore timed out after {limit:.2f} seconds")

    def _why_ended(self, request_id: str) -> Failure:
        environment = self._environment
        if environment.failure is not None:
            return environment.failure
        assert environment.exit_code is not None, "an environment has ended for a reason"
        how = exit_text(environment.exit_code)
        return failure(EXIT_ERROR, f"RequestId: {request_id} Error: Runtime exited with error: {how}")

    def _timed_out(self, request_id: str) -> Failure:
        seconds = self._settings.timeout
        return failure(TIMEOUT, f"RequestId: {request_id} Error: Task timed out after {seconds:.2f} seconds")

    def _notice_end(self) -> None:
        why = self._environment.failure
        how = f"{why.error_type}: {why.message}" if why else exit_text(self._environment.exit_code or 0)
        self._function.notice(f"the environment ended ({how}), the next request starts one")

    def _warn_above(self, memory: int | None) -> None:
        limit = self._settings.memory
        if memory is not None and memory > limit * _MB and not self._warned:
            self._warned = True
            self._function.notice(
                f"an environment has used {memory / _MB:.0f} MB, --memory allows {limit} MB: Lambda would have ended it"
            )


async def _within(seconds: float, environment: Environment, condition: Callable[[], bool]) -> bool:
    """Wait for ``condition``; False if it does not come true in time."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await environment.condition.wait_for(condition)
    return condition()
