"""The local function: one queue of invocations, and the environments that serve them.

As on Lambda, if no environment is free for an invocation, a new environment is started (a cold start). If the maximum
number of environments exists, invocations wait in a queue or, with ``--no-queue``, are throttled. An invocation is also
throttled if the number of running and waiting invocations has reached the concurrency limit of a new AWS account. The
first environment that becomes free serves the first invocation of the queue. (On Lambda, an invocation sometimes waits
for its own new environment, even if another environment becomes free earlier.)

If init fails, the first invocation of the queue fails at once. Lambda would first try a second init.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from adapter.emulator.environment.result import STOPPED, THROTTLED, Failure, failure
from adapter.emulator.environment.state_tables import EnvironmentState, IllegalTransitionError
from adapter.emulator.function.environment_updates import InvocationConcluded, Started, StartFailed, Update
from adapter.emulator.function.execution_environment import ASKING_GRACE, ExecutionEnvironment
from adapter.emulator.function.lane import lane
from adapter.emulator.function.queue_notices import QueueNotices

if TYPE_CHECKING:
    from adapter.emulator.environment.invocation import LocalInvocation
    from adapter.emulator.function_settings import FunctionSettings
    from adapter.emulator.notice import Notice
    from adapter.emulator.sandbox.processes import Launch


# The number of environments that are remembered after their end.
_MOST_ENDED = 20

# The maximum number of invocations that run or wait: the concurrency of a new account (Lambda quotas, "Concurrent
# executions"). Without a limit, clients that leave and send their requests again would fill the memory.
_MOST_INVOCATIONS = 1000

# While another environment serves invocations, a new one is started only if invocations still wait for it after this
# time, in seconds.
START_DELAY = 0.1


class LocalFunction:
    """The local function. ``notice`` is called with lines for the user, ``show`` with lines of the CloudWatch log.

    The iterator ``numbers`` yields the number of each new environment.
    """

    def __init__(
        self,
        launch: Launch,
        settings: FunctionSettings,
        notice: Notice,
        show: Callable[[str], None] | None = None,
        *,
        numbers: Iterator[int] | None = None,
    ) -> None:
        self.settings = settings
        self._numbers = itertools.count(1) if numbers is None else numbers
        self.notice = notice
        self._new_environment = partial(
            ExecutionEnvironment, settings, launch, emit=self._handle, notice=notice, show=show
        )
        self._queue: deque[LocalInvocation] = deque()
        self._queue_notices = QueueNotices(settings, notice)
        self._running: set[LocalInvocation] = set()
        self._environments: list[ExecutionEnvironment] = []
        # The last environments that have ended, for the inspector.
        self._ended: deque[ExecutionEnvironment] = deque(maxlen=_MOST_ENDED)
        # The environments whose processes are not started yet, because other environments may serve the queue first.
        self._undecided: set[ExecutionEnvironment] = set()
        self._group: asyncio.TaskGroup | None = None
        self._has_stopped = False
        # The number of inits that timed out and have yet to be repeated within an invocation.
        self._inits_to_restart = 0
        self._timer: asyncio.TimerHandle | None = None
        self._counts = dict.fromkeys(("invocations", "errors", "coldStarts", "failedInits", "throttled"), 0)

    # --- for callers -----------------------------------------------------------------------------------------------

    def submit(self, invocation: LocalInvocation) -> None:
        """Queue ``invocation``; its ``reply`` receives the answer. If ``run`` was cancelled, fail the invocation."""
        if self._has_stopped:
            self._stop(invocation)
            return
        self._queue.append(invocation)
        self.dispatch()

    async def run(self, *, warm: bool) -> None:
        """Serve invocations until cancelled. If ``warm``, start one environment before the first invocation."""
        async with asyncio.TaskGroup() as self._group:
            try:
                for _ in range(self.settings.provisioned):
                    self._start(provisioned=True)
                if warm and not self._environments:
                    self._start()
                self.dispatch()
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError:
                # Fail all invocations now: the environments may take seconds to end.
                self._group, self._has_stopped = None, True
                for invocation in (*self._running, *self._queue):
                    self._stop(invocation)
                raise

    def restart(self) -> None:
        """End each environment once its running invocations have ended. Later invocations get new environments."""
        for environment in self._environments:
            environment.retire()
        # Queued invocations that waited for slots of these environments may now need new environments.
        self.dispatch()

    def age(self, seconds: float) -> None:
        """Act as if every idle environment had been idle for ``seconds`` longer."""
        for environment in self._environments:
            environment.age(seconds)

    def status(self) -> dict[str, Any]:
        """Return the function's settings, environments and counters, ready to encode as JSON."""
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

    def lanes(self) -> list[tuple[int, int | None, list[tuple[float, str]]]]:
        """Return the number, peak memory and latest state changes of each environment, including some that have ended.

        The memory is in bytes, or None if unknown. Times are those of the event loop.
        """
        return [(each.number, each.memory, lane(each.changes)) for each in (*self._ended, *self._environments)]

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
                # No dispatch yet: the other invocations wait until this environment has ended and can be replaced.
                self._fail_first(phase, why)
                return
        self.dispatch()

    def _fail_first(self, phase: str, why: Callable[[str], Failure]) -> None:
        """Fail the first invocation of the queue, or notify the user if the queue is empty."""
        if self._queue:
            invocation = self._take_first()
            self._counts["errors"] += 1
            _fail(invocation, why(invocation.request_id))
        else:
            error = why("")
            text = f"{phase} failed, so the next request starts a new environment ({error.error_type})"
            self.notice(text, level="error", reason=error.message)

    async def _run_environment(self, environment: ExecutionEnvironment) -> None:
        """Run an environment to its end.

        If the environment belonged to the provisioned concurrency and did not fail to start, start a replacement.
        """
        try:
            if environment in self._undecided and not await self._is_still_needed(environment):
                return
            self._counts["coldStarts"] += 1
            await environment.live()
        except* IllegalTransitionError as faults:
            fault = faults.exceptions[0]
            while isinstance(fault, BaseExceptionGroup):
                fault = fault.exceptions[0]
            self.notice(f"an internal error of adapter dev ended an environment: {fault}", level="error")
        finally:
            self._undecided.discard(environment)
            self._environments.remove(environment)
            self._ended.append(environment)
        self._counts["failedInits"] += environment.has_failed_to_start
        self._inits_to_restart += environment.restarts_init
        if environment.provisioned and not environment.has_failed_to_start and self._group is not None:
            self._start(provisioned=True)
        self.dispatch()

    async def _is_still_needed(self, environment: ExecutionEnvironment) -> bool:
        """Wait START_DELAY seconds. Return True if more invocations are queued than other environments can soon serve.

        The requests of a web page arrive together. Often, a warm environment serves them all within this time.
        """
        await asyncio.sleep(START_DELAY)
        self._undecided.discard(environment)
        now = asyncio.get_running_loop().time()
        others = [each for each in self._environments if each is not environment and each not in self._undecided]
        return not environment.is_closing and len(self._queue) > sum(each.coming_slots(now) for each in others)

    # --- decisions -------------------------------------------------------------------------------------------------

    def dispatch(self) -> None:
        """Hand queued invocations to free environments. Start or restore environments for the remaining invocations."""
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
        """Whether ``_scale_out`` has nothing to do.

        This is the case if no environment can be added and all queued invocations are announced.
        """
        is_full = len(self._environments) >= self.settings.environments and not self.settings.snapstart
        return is_full and len(self._queue_notices.announced) == len(self._queue)

    def _scale_out(self) -> None:
        """Restore or start environments for those queued invocations that will not get a slot soon."""
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
        # Each closing environment can soon be replaced, so the invocations that its replacement will serve are neither
        # announced nor throttled.
        self._let_wait(missing - slots * sum(environment.is_closing for environment in self._environments))
        if self._timer is None and any(environment.asking_slots(now) for environment in self._environments):
            # If the runtimes do not ask for an invocation within this time, their slots no longer count. So the queue
            # is checked again.
            self._timer = asyncio.get_running_loop().call_later(ASKING_GRACE, self._end_grace)

    def _end_grace(self) -> None:
        self._timer = None
        self.dispatch()

    def _start(self, *, provisioned: bool = False) -> None:
        assert self._group is not None, "the function runs"
        within_invocation = self._inits_to_restart > 0
        self._inits_to_restart -= within_invocation
        environment = self._new_environment(
            number=next(self._numbers), provisioned=provisioned, within_invocation=within_invocation
        )
        has_time = START_DELAY > 0 and not provisioned and not within_invocation
        if has_time and any(each.is_serving for each in self._environments):
            self._undecided.add(environment)
        self._environments.append(environment)
        self._group.create_task(self._run_environment(environment))

    def _let_wait(self, missing: int) -> None:
        """Show the user which queued invocations must wait. Throttle those that are not allowed to wait.

        ``missing`` is the number of missing slots. The same number of invocations must wait: the newest in the queue.
        """
        new = []
        # From the end of the queue: the invocations that are not yet announced are the newest.
        for invocation in itertools.islice(reversed(self._queue), max(0, missing)):
            if invocation in self._queue_notices.announced:
                break
            new.append(invocation)
        for ahead, invocation in enumerate(reversed(new), len(self._running) + len(self._queue) - len(new)):
            if self.settings.queue and ahead < _MOST_INVOCATIONS:
                self._queue_notices.announce(invocation, ahead)
            else:
                self._queue.remove(invocation)
                self._counts["throttled"] += 1
                limit = f"the limit of {_MOST_INVOCATIONS} running and waiting invocations is reached"
                why = limit if self.settings.queue else "Rate Exceeded."
                _fail(invocation, failure(THROTTLED, why))

    @staticmethod
    def _stop(invocation: LocalInvocation) -> None:
        _fail(invocation, failure(STOPPED, "adapter dev was stopped"))


def _fail(invocation: LocalInvocation, why: Failure) -> None:
    invocation.reply.fail(why)
    invocation.finish()
