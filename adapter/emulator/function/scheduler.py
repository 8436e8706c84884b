"""The local function: invocations wait in one queue, and as many environments as needed serve them.

As on Lambda, an invocation that finds no free environment has a new one started, which is a cold start, up to the most
that may exist; beyond that invocations wait in their order, or are throttled. The environment that is free first serves
the invocation that has waited longest. (Lambda does so at times as well; at others an invocation waits for its own cold
start.)

A failed init fails the invocation that has waited longest, at once. Lambda would try a second time first.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from adapter.emulator.environment.result import STOPPED, THROTTLED, Failure, failure
from adapter.emulator.environment.state_tables import EnvironmentState, IllegalTransitionError
from adapter.emulator.function.environment_updates import InvocationConcluded, Started, StartFailed, Update
from adapter.emulator.function.execution_environment import ASKING_GRACE, ExecutionEnvironment
from adapter.emulator.function.queue_notices import QueueNotices

if TYPE_CHECKING:
    from adapter.emulator.environment.invocation import LocalInvocation
    from adapter.emulator.function_settings import FunctionSettings
    from adapter.emulator.sandbox.processes import Launch


class LocalFunction:
    """One function. ``notice`` receives lines for the user, ``show`` those of the CloudWatch block, if any."""

    def __init__(
        self,
        launch: Launch,
        settings: FunctionSettings,
        notice: Callable[[str], None],
        show: Callable[[str], None] | None = None,
    ) -> None:
        self.settings = settings
        self.notice = notice
        self._new_environment = partial(
            ExecutionEnvironment, settings, launch, emit=self._handle, notice=notice, show=show
        )
        self._queue: deque[LocalInvocation] = deque()
        self._queue_notices = QueueNotices(settings, notice)
        self._running: set[LocalInvocation] = set()
        self._environments: list[ExecutionEnvironment] = []
        self._group: asyncio.TaskGroup | None = None
        self._has_stopped = False
        # How many inits timed out, and start again within the first invocation.
        self._inits_to_restart = 0
        self._timer: asyncio.TimerHandle | None = None
        self._counts = dict.fromkeys(("invocations", "errors", "coldStarts", "failedInits", "throttled"), 0)

    # --- for callers -----------------------------------------------------------------------------------------------

    def submit(self, invocation: LocalInvocation) -> None:
        """Queue ``invocation``; its reply receives the answer."""
        if self._has_stopped:
            self._stop(invocation)
            return
        self._queue.append(invocation)
        self.dispatch()

    async def run(self, *, warm: bool) -> None:
        """Serve invocations until cancelled; ``warm``: start the first environment at once."""
        async with asyncio.TaskGroup() as self._group:
            try:
                for _ in range(self.settings.provisioned):
                    self._start(provisioned=True)
                if warm and not self._environments:
                    self._start()
                self.dispatch()
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError:
                # Callers are answered before the environments begin to end.
                self._group, self._has_stopped = None, True
                for invocation in (*self._running, *self._queue):
                    self._stop(invocation)
                raise

    def restart(self) -> None:
        """Let every environment end once its invocations are over; later invocations get new environments."""
        for environment in self._environments:
            environment.retire()

    def age(self, seconds: float) -> None:
        """Let every idle environment count as idle for ``seconds`` longer."""
        for environment in self._environments:
            environment.age(seconds)

    def status(self) -> dict[str, Any]:
        """Return the environments, their states, and counts, as JSON has them."""
        now = asyncio.get_running_loop().time()
        return {
            "function": {
                "name": self.settings.name,
                "memorySizeMB": self.settings.memory,
                "timeoutSeconds": self.settings.timeout,
                "maxEnvironments": self.settings.environments,
                "maxConcurrency": self.settings.max_concurrency,
            },
            "environments": [environment.status(now) for environment in self._environments],
            "counts": self._counts | {"waiting": len(self._queue), "running": len(self._running)},
        }

    # --- the updates of environments -------------------------------------------------------------------------------

    def _handle(self, update: Update) -> None:
        match update:
            case InvocationConcluded(invocation):
                self._running.discard(invocation)
                if invocation.reply.failure is not None:
                    self._counts["errors"] += 1
            case Started(notice):
                if not self._queue:
                    self.notice(notice)
            case StartFailed(phase, why):
                # The others wait for the end of the environment, whose place is free then.
                self._fail_first(phase, why)
                return
        self.dispatch()

    def _fail_first(self, phase: str, why: Callable[[str], Failure]) -> None:
        """Fail the invocation that has waited longest."""
        if self._queue:
            invocation = self._take_first()
            self._counts["errors"] += 1
            _fail(invocation, why(invocation.request_id))
        else:
            error = why("")
            self.notice(f"{phase} failed, the next request tries again: {error.error_type}: {error.message}")

    async def _run_environment(self, environment: ExecutionEnvironment) -> None:
        """Let an environment live; start another one if it was provisioned."""
        try:
            await environment.live()
        except* IllegalTransitionError as faults:
            fault = faults.exceptions[0]
            while isinstance(fault, BaseExceptionGroup):
                fault = fault.exceptions[0]
            self.notice(f"adapter dev has a fault, an environment was ended: {fault}")
        finally:
            self._environments.remove(environment)
        self._counts["failedInits"] += environment.has_failed_to_start
        self._inits_to_restart += environment.restarts_init
        if environment.provisioned and not environment.has_failed_to_start and self._group is not None:
            self._start(provisioned=True)
        self.dispatch()

    # --- decisions -------------------------------------------------------------------------------------------------

    def dispatch(self) -> None:
        """Hand queued invocations to free environments, and start or restore environments for the others."""
        if self._group is None:
            return
        while self._queue:
            environment = next((each for each in self._environments if each.is_free), None)
            if environment is None:
                break
            self._hand_over(environment)
        if self._queue and not self._is_settled:
            self._scale_out()

    def _hand_over(self, environment: ExecutionEnvironment) -> None:
        invocation = self._take_first()
        self._running.add(invocation)
        self._counts["invocations"] += 1
        try:
            environment.begin(invocation)
        except IllegalTransitionError as fault:
            environment.break_off(fault)

    def _take_first(self) -> LocalInvocation:
        invocation = self._queue.popleft()
        self._queue_notices.announced.discard(invocation)
        return invocation

    @property
    def _is_settled(self) -> bool:
        """Whether every queued invocation has to wait and is announced, and no environment can be made for any."""
        is_full = len(self._environments) >= self.settings.environments and not self.settings.snapstart
        return is_full and len(self._queue_notices.announced) == len(self._queue)

    def _scale_out(self) -> None:
        """Restore or start as many environments as the queue needs, beyond the slots that will soon be free."""
        now = asyncio.get_running_loop().time()
        slots = self.settings.max_concurrency
        missing = len(self._queue) - sum(environment.coming_slots(now) for environment in self._environments)
        for environment in self._environments:
            if missing > 0 and environment.state is EnvironmentState.SNAPSHOT:
                environment.request_restore()
                missing -= slots
        while missing > 0 and len(self._environments) < self.settings.environments:
            self._start()
            missing -= slots
        # The place of an environment that closes will be free though no invocation ends.
        self._let_wait(missing - slots * sum(environment.is_closing for environment in self._environments))
        if self._timer is None and any(environment.asking_slots(now) for environment in self._environments):
            # A runtime that does not ask in time is busy.
            self._timer = asyncio.get_running_loop().call_later(ASKING_GRACE, self._end_grace)

    def _end_grace(self) -> None:
        self._timer = None
        self.dispatch()

    def _start(self, *, provisioned: bool = False) -> None:
        assert self._group is not None, "the function runs"
        within_invocation = self._inits_to_restart > 0
        self._inits_to_restart -= within_invocation
        environment = self._new_environment(provisioned=provisioned, within_invocation=within_invocation)
        self._environments.append(environment)
        self._counts["coldStarts"] += 1
        self._group.create_task(self._run_environment(environment))

    def _let_wait(self, missing: int) -> None:
        """Announce that the last ``missing`` invocations of the queue have to wait, or throttle them."""
        new = []
        # From the end, since those that are not announced yet came last.
        for invocation in itertools.islice(reversed(self._queue), max(0, missing)):
            if invocation in self._queue_notices.announced:
                break
            new.append(invocation)
        for position, invocation in enumerate(reversed(new), len(self._queue) - len(new)):
            if self.settings.queue:
                self._queue_notices.announce(invocation, position + len(self._running))
            else:
                self._queue.remove(invocation)
                self._counts["throttled"] += 1
                _fail(invocation, failure(THROTTLED, "Rate Exceeded."))

    @staticmethod
    def _stop(invocation: LocalInvocation) -> None:
        _fail(invocation, failure(STOPPED, "adapter dev was stopped"))


def _fail(invocation: LocalInvocation, why: Failure) -> None:
    invocation.reply.fail(why)
    invocation.finish()
