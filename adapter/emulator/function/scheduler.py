"""The local function: calls wait in one line, and as many environments as are needed serve them.

As on Lambda, a call that finds no free environment has a new one started, which is a cold start, up to the most that
there may be; beyond that calls wait in their order, or are throttled. Whichever environment is free first serves the
call that has waited longest. (Lambda does so at times as well; elsewhere it lets a call wait for its own cold start.)

A failed init fails the call that has waited longest, at once. Lambda would try a second time before it says so.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from adapter.emulator.environment.result import STOPPED, THROTTLED, Failure, failure
from adapter.emulator.function.execution_environment import ASKING_GRACE, ExecutionEnvironment

if TYPE_CHECKING:
    from adapter.emulator.environment.invocation import LocalInvocation
    from adapter.emulator.sandbox.processes import Launch
    from adapter.emulator.settings import FunctionSettings


# Of how many invocations that have to wait a line tells, in each period of so many seconds.
_NOTICES = 10
_NOTICE_PERIOD = 1.0


def discard(_line: str) -> None:
    """Shows no line."""


class LocalFunction:
    """One function. ``notice`` shows a line to the user, ``show`` one of the CloudWatch block."""

    def __init__(
        self,
        launch: Launch,
        settings: FunctionSettings,
        notice: Callable[[str], None],
        show: Callable[[str], None] = discard,
    ) -> None:
        self.launch = launch
        self.settings = settings
        self.notice = notice
        self.show = show
        self._line: deque[LocalInvocation] = deque()
        self._active: set[LocalInvocation] = set()
        self._fleet: list[ExecutionEnvironment] = []
        self._group: asyncio.TaskGroup | None = None
        self._stopped = False
        self._overran = 0
        self._timer: asyncio.TimerHandle | None = None
        # The calls that were said to wait, and whether it was said why there is one environment alone.
        self._told: set[LocalInvocation] = set()
        self._told_why = False
        self._telling_since, self._tellings, self._untold = 0.0, 0, 0
        self._counts = dict.fromkeys(("invocations", "errors", "coldStarts", "failedInits", "throttled"), 0)

    # --- for callers -----------------------------------------------------------------------------------------------

    def submit(self, call: LocalInvocation) -> None:
        """Let ``call`` take its turn; its reply says how it went."""
        if self._stopped:
            self._stop(call)
            return
        self._line.append(call)
        self.serve()

    async def run(self, *, warm: bool) -> None:
        """Serve calls until cancelled; ``warm``: make the first environment at once."""
        async with asyncio.TaskGroup() as self._group:
            try:
                for _ in range(self.settings.provisioned):
                    self._start(provisioned=True)
                if warm and not self._fleet:
                    self._start()
                self.serve()
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError:
                # Callers learn of it before the environments begin to end.
                self._group, self._stopped = None, True
                for call in (*self._active, *self._line):
                    self._stop(call)
                raise

    def restart(self) -> None:
        """Let every environment end once the calls in it are over; those that come find new ones."""
        for tenure in self._fleet:
            tenure.retire()

    def age(self, seconds: float) -> None:
        """Let every idle environment count as idle for ``seconds`` longer."""
        for tenure in self._fleet:
            tenure.age(seconds)

    def status(self) -> dict[str, Any]:
        """Environments, their states, and counts, as JSON has them."""
        now = asyncio.get_running_loop().time()
        return {
            "function": {
                "name": self.settings.name,
                "memorySizeMB": self.settings.memory,
                "timeoutSeconds": self.settings.timeout,
                "maxEnvironments": self.settings.environments,
                "maxConcurrency": self.settings.max_concurrency,
            },
            "environments": [
                {
                    "state": tenure.state,
                    "initializationType": tenure.initialization_type,
                    "invocations": tenure.served,
                    "running": tenure.calls,
                    "idleSeconds": round(now - tenure.idle_since, 3) if tenure.is_free and not tenure.calls else 0,
                    "retired": tenure.retired,
                    "frozen": tenure.is_frozen,
                }
                for tenure in self._fleet
            ],
            "counts": self._counts | {"waiting": len(self._line), "running": len(self._active)},
        }

    # --- for tenures -----------------------------------------------------------------------------------------------

    def has_waiting(self) -> bool:
        """Whether a call waits for an environment."""
        return bool(self._line)

    def fail_first(self, why: Callable[[str], Failure]) -> bool:
        """Fail the call that has waited longest, given its request id; False where none waits."""
        if not self._line:
            return False
        call = self._line.popleft()
        self._told.discard(call)
        self._counts["errors"] += 1
        call.reply.fail(why(call.request_id))
        call.finish()
        return True

    def over(self, call: LocalInvocation) -> None:
        """A call that was handed over is over."""
        self._active.discard(call)
        if call.reply.failure is not None:
            self._counts["errors"] += 1

    def serve(self) -> None:
        """Hand calls that wait to environments that are free, and start or restore environments for the others."""
        if self._group is None:
            return
        while self._line:
            tenure = next((each for each in self._fleet if each.is_free), None)
            if tenure is None:
                break
            self._hand_over(self._line.popleft(), tenure)
        if not self._line or self._all_wait_knowingly:
            return
        now = asyncio.get_running_loop().time()
        slots = self.settings.max_concurrency
        missing = len(self._line) - sum(tenure.coming_slots(now) for tenure in self._fleet)
        for tenure in self._fleet:
            if missing > 0 and tenure.is_snapshot:
                tenure.request_restore()
                missing -= slots
        while missing > 0 and len(self._fleet) < self.settings.environments:
            self._start()
            missing -= slots
        # The place of one that is ending will be free without a call's being over.
        self._tell_waiting(missing - slots * sum(tenure.is_closing for tenure in self._fleet))
        if self._timer is None and any(tenure.asking_slots(now) for tenure in self._fleet):
            # If the runtime does not ask in time, it is busy.
            self._timer = asyncio.get_running_loop().call_later(ASKING_GRACE, self._time_is_up)

    @staticmethod
    def _stop(call: LocalInvocation) -> None:
        call.reply.fail(failure(STOPPED, "adapter dev was stopped"))
        call.finish()

    # --- within ----------------------------------------------------------------------------------------------------

    def _tell_waiting(self, missing: int) -> None:
        """Say that the last ``missing`` calls of the line have to wait, or throttle them."""
        untold = []
        # From the end of the line, where those are that have not been told yet.
        for call in itertools.islice(reversed(self._line), max(0, missing)):
            if call in self._told:
                break
            untold.append(call)
        for number, call in enumerate(reversed(untold), len(self._line) - len(untold)):
            if self.settings.queue:
                self._told.add(call)
                self._tell_wait(call, number + len(self._active))
            else:
                self._line.remove(call)
                self._counts["throttled"] += 1
                call.reply.fail(failure(THROTTLED, "Rate Exceeded."))
                call.finish()

    def _tell_wait(self, call: LocalInvocation, ahead: int) -> None:
        """Say that ``call`` waits; of a crowd only the first ones are told of, and how many there were besides."""
        now = asyncio.get_running_loop().time()
        if now - self._telling_since >= _NOTICE_PERIOD:
            if self._untold:
                self.notice(f"{self._untold} more invocations had to wait")
            self._telling_since, self._tellings, self._untold = now, 0, 0
        if self._tellings < _NOTICES:
            self._tellings += 1
            self.notice(self._waiting_text(call, ahead))
        else:
            self._untold += 1

    @property
    def _all_wait_knowingly(self) -> bool:
        """Whether every call in the line has been told of, and nothing can be started or restored for any of them."""
        is_full = len(self._fleet) >= self.settings.environments and not self.settings.snapstart
        return is_full and len(self._told) == len(self._line)

    def _time_is_up(self) -> None:
        self._timer = None
        self.serve()

    def _start(self, *, provisioned: bool = False) -> None:
        assert self._group is not None, "the function runs"
        within_invocation = self._overran > 0
        self._overran -= within_invocation
        tenure = ExecutionEnvironment(self, provisioned=provisioned, within_invocation=within_invocation)
        self._fleet.append(tenure)
        self._counts["coldStarts"] += 1
        self._group.create_task(self._live(tenure))

    async def _live(self, tenure: ExecutionEnvironment) -> None:
        try:
            await tenure.live()
        finally:
            self._fleet.remove(tenure)
        if not tenure.was_open and not tenure.retired:
            self._counts["failedInits"] += 1
        self._overran += tenure.overran
        if tenure.provisioned and (tenure.was_open or tenure.retired) and self._group is not None:
            self._start(provisioned=True)
        self.serve()

    def _hand_over(self, call: LocalInvocation, tenure: ExecutionEnvironment) -> None:
        self._told.discard(call)
        self._active.add(call)
        self._counts["invocations"] += 1
        tenure.begin(call)

    def _waiting_text(self, call: LocalInvocation, ahead: int) -> str:
        most = self.settings.environments
        where = "the one environment" if most == 1 else f"one of {most} environments"
        text = f"{call.label} waits for {where}, {ahead} ahead"
        if self.settings.only_one_because and not self._told_why:
            self._told_why = True
            text += f" (there cannot be more: {self.settings.only_one_because})"
        return text
