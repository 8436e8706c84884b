"""A model of the scheduler: one event at a time, under its own clock, with the real LocalFunction and environments.

Only the processes and their sockets are left out: an event calls ``ApiState`` as the Runtime API does for a request of
the runtime. After each event the loop runs until nothing is left to do but to wait; then ``check`` holds.
"""

from __future__ import annotations

import asyncio
import contextlib
import selectors
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any, cast

from adapter.config.load import load
from adapter.emulator.environment.invocation import LocalInvocation
from adapter.emulator.environment.result import Payload, failure
from adapter.emulator.environment.state_tables import (
    RUNTIME,
    EnvironmentState,
    InvocationEvent,
    RuntimeEvent,
    RuntimeState,
)
from adapter.emulator.function.execution_environment import ASKING_GRACE, ExecutionEnvironment
from adapter.emulator.function.scheduler import LocalFunction
from adapter.emulator.function_settings import FunctionSettings, function_settings
from adapter.emulator.sandbox.sandbox import Sandbox
from tests.emulator.scripted import ScriptedProcesses, ScriptedRuntime

#: What happens, and to which environment (by its place among those alive) and invocation.
Event = tuple[str, int, int]
_SERVES = (EnvironmentState.IDLE, EnvironmentState.BUSY)
# More rounds than any run needs until all its invocations have ended.
_ROUNDS = 200


class Violation(AssertionError):
    """A state that must not be."""


class _Idle(selectors.SelectSelector):
    """Stops its loop when it would wait; ``pause`` is how long it would, in seconds, None for ever."""

    loop: asyncio.AbstractEventLoop
    pause: float | None = None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout > 0:
            self.pause = timeout
            self.loop.stop()
        return []


class _Loop(asyncio.SelectorEventLoop):
    """Its time is ``now``."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.idle = _Idle()
        self.idle.loop = self
        super().__init__(self.idle)

    def time(self) -> float:
        return self.now


class ModelSandbox(Sandbox):
    """A sandbox whose processes are the model's events. ``ended`` is set when its processes have ended."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.ended = asyncio.Event()
        self.opened_at = asyncio.get_running_loop().time()
        self.polls: list[asyncio.Future[LocalInvocation | None]] = []
        self.received: list[LocalInvocation] = []

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        try:
            yield
        finally:
            self.apis.advance(RuntimeEvent.SHUTDOWN)
            await self.ended.wait()


def settings_of(flags: dict[str, str]) -> FunctionSettings:
    return function_settings(load({}, {"timeout": "5", "environments": "1"} | flags), ["{port}"])


async def _no_script(_runtime: ScriptedRuntime) -> int:
    return 0


class Model:
    """One run of the function, with ``arrivals`` invocations at most and ``restarts`` restarts."""

    def __init__(self, settings: FunctionSettings, *, arrivals: int = 3, restarts: int = 1) -> None:
        self.loop = _Loop()
        self._takes_snapshots = settings.snapstart
        self.arrivals = arrivals
        self.restarts = restarts
        self.invocations: list[LocalInvocation] = []
        self.begun: list[int] = []
        self.notices: list[str] = []
        self.faults: list[Any] = []
        self.starts = 0
        self.loop.set_exception_handler(lambda _loop, context: self.faults.append(context))
        self.function = LocalFunction(self._launch, settings, self._notice, self._show)
        self._running = self.loop.create_task(self.function.run(warm=False))
        self._drain()

    def _notice(self, text: str, *, level: str = "info", reason: str = "") -> None:
        self.notices.append(text)

    def _launch(self, *_: Any) -> Any:
        self.starts += 1
        return ScriptedProcesses(_no_script, cast("asyncio.TaskGroup", None))

    def _show(self, line: str) -> None:
        if line.startswith("START RequestId: "):
            self.begun.append(int(line.split()[2]))

    # --- events ----------------------------------------------------------------------------------------------------

    @property
    def environments(self) -> list[ExecutionEnvironment]:
        return self.function._environments

    def enabled(self) -> Iterator[Event]:
        """Yield every event that can happen now."""
        if self.arrivals > len(self.invocations):
            yield "arrive", 0, 0
        if self.restarts and self.environments:
            yield "restart", 0, 0
        yield "wait", 0, 0
        if self.loop.idle.pause is not None:
            yield "time_out", 0, 0
        for number, environment in enumerate(self.environments):
            yield from ((what, number, which) for what, which in self._enabled_in(environment))

    def _enabled_in(self, environment: ExecutionEnvironment) -> Iterator[tuple[str, int]]:
        apis = environment._apis
        if environment.is_closing:
            yield "end", 0
            return
        if apis.has_ended:
            return
        if self._may_ask(environment):
            yield "next", 0
        if self._takes_snapshots and apis.runtime is RuntimeState.INIT:
            yield "snapshot", 0
        if (apis.runtime, RuntimeEvent.INIT_ERROR) in RUNTIME:
            yield "fail_init", 0
        yield "exit", 0
        if apis.waiting_slots:
            yield "disconnect", 0
        for which in range(len(self._unanswered(environment))):
            yield "answer", which
            yield "fail", which

    @staticmethod
    def _may_ask(environment: ExecutionEnvironment) -> bool:
        apis = environment._apis
        is_legal = (apis.runtime, RuntimeEvent.NEXT) in RUNTIME and not apis.has_ended
        return is_legal and apis.waiting_slots + apis.unanswered < apis.slots

    @staticmethod
    def _unanswered(environment: ExecutionEnvironment) -> list[LocalInvocation]:
        received, apis = _sandbox(environment).received, environment._apis
        return [each for each in received if apis.may_report(each, InvocationEvent.ERROR)]

    def apply(self, event: Event) -> None:
        """Let ``event`` happen, then everything that follows from it at once. Raises Violation."""
        what, number, which = event
        environment = self.environments[number] if number < len(self.environments) else None
        if what == "wait":
            self.loop.now += ASKING_GRACE * 1.01
        elif what == "time_out":
            self.loop.now += (self.loop.idle.pause or 0) + 1e-9
        else:
            self.loop.call_soon(getattr(self, f"_{what}"), *(() if environment is None else (environment, which)))
        self._drain()
        self.check()

    def _drain(self) -> None:
        self.loop.run_forever()
        self.loop.call_soon(self._take_counts)
        self.loop.run_forever()
        for environment in self.environments:
            sandbox = _sandbox(environment)
            for poll in [each for each in sandbox.polls if each.done()]:
                sandbox.polls.remove(poll)
                invocation = poll.result()
                if invocation is not None:
                    if any(invocation in _sandbox(each).received for each in self.environments):
                        raise Violation(f"invocation {invocation.request_id} was served twice")
                    sandbox.received.append(invocation)

    def _take_counts(self) -> None:
        self._counts: dict[str, int] = self.function.status()["counts"]

    def _arrive(self, *_: Any) -> None:
        number = str(len(self.invocations))
        invocation = LocalInvocation(label=number, event=b"{}", request_id=number, trace_id="")
        self.invocations.append(invocation)
        self.function.submit(invocation)

    def _restart(self, *_: Any) -> None:
        self.restarts -= 1
        self.function.restart()

    def _next(self, environment: ExecutionEnvironment, _: int) -> None:
        poll = environment._apis.next()
        assert poll is not None
        _sandbox(environment).polls.append(poll)

    def _answer(self, environment: ExecutionEnvironment, which: int) -> None:
        invocation = self._unanswered(environment)[which]
        environment._apis.advance_invocation(invocation, InvocationEvent.RESPONSE)
        invocation.reply.settle(Payload(b"{}"))
        environment._apis.advance_invocation(invocation, InvocationEvent.RESPONSE_ENDED)

    def _fail(self, environment: ExecutionEnvironment, which: int) -> None:
        invocation = self._unanswered(environment)[which]
        invocation.reply.settle(failure("Function.Broken", "it broke"))
        environment._apis.advance_invocation(invocation, InvocationEvent.ERROR)

    def _snapshot(self, environment: ExecutionEnvironment, _: int) -> None:
        environment._apis.restore_next()

    def _fail_init(self, environment: ExecutionEnvironment, _: int) -> None:
        environment._apis.fail(RuntimeEvent.INIT_ERROR, failure("Runtime.InitError", "no"))

    def _exit(self, environment: ExecutionEnvironment, _: int) -> None:
        environment._apis.note_exit(1)

    def _disconnect(self, environment: ExecutionEnvironment, _: int) -> None:
        environment._apis.disconnect(_sandbox(environment).polls[0])

    def _end(self, environment: ExecutionEnvironment, _: int) -> None:
        _sandbox(environment).ended.set()

    # --- what must hold --------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Raises Violation if something must not be."""
        if self._running.done() or self.faults:
            raise Violation(f"the process does not live on: {self.faults}")
        if internal := [notice for notice in self.notices if "internal error" in notice]:
            raise Violation(internal[0])
        self._check_waits()
        self._check_places()

    def _check_waits(self) -> None:
        """No invocation waits for a slot that is free, or for an environment that could be started."""
        if self.begun != sorted(self.begun):
            raise Violation(f"out of order: {self.begun}")
        queued = self.function._queue
        if [int(each.request_id) for each in queued] != sorted(int(each.request_id) for each in queued):
            raise Violation("the queue is out of order")
        if not queued:
            return
        for environment in self.environments:
            apis = environment._apis
            is_open = environment.state in _SERVES and not apis.has_ended
            if is_open and apis.waiting_slots and len(environment._running) < apis.slots:
                raise Violation(f"{len(queued)} wait while a slot is free")
        now = self.loop.now
        is_coming = any(
            each.is_closing
            or each.state in (EnvironmentState.STARTING, EnvironmentState.RESTORING)
            or (each.state in _SERVES and now < each._asks_until)
            for each in self.environments
        )
        is_unused = any(each.state is EnvironmentState.SNAPSHOT for each in self.environments)
        if not is_coming and (is_unused or len(self.environments) < self.function.settings.environments):
            raise Violation(f"{len(queued)} wait while an environment could be started or restored")

    def _check_places(self) -> None:
        """Each invocation is in one place, and the counts agree."""
        queued, counts = self.function._queue, self._counts
        running = [each for environment in self.environments for each in environment._running]
        for invocation in self.invocations:
            places = [*queued, *running].count(invocation) + invocation._finished.is_set()
            if places != 1:
                raise Violation(f"invocation {invocation.request_id} is in {places} places")
            if invocation._finished.is_set() and not invocation.reply.is_complete:
                raise Violation(f"invocation {invocation.request_id} ended without an answer")
        failed = sum(each.reply.failure is not None and each._finished.is_set() for each in self.invocations)
        expected = {
            "invocations": len(self.begun),
            "coldStarts": self.starts,
            "waiting": len(queued),
            "running": len(running),
            "errors": failed - counts["throttled"],
        }
        found = {name: counts[name] for name in expected}
        if found != expected:
            raise Violation(f"the counts are {found}, not {expected}")

    def state(self) -> tuple[object, ...]:
        """Everything that decides what can follow, with times as differences."""
        function, now = self.function, self.loop.now
        return (
            len(self.invocations),
            self.restarts,
            len(function._queue),
            len(function._queue_notices.announced),
            function._inits_to_restart,
            None if function._timer is None else round(function._timer.when() - now, 3),
            *(self._state_of(environment) for environment in self.environments),
        )

    def _state_of(self, environment: ExecutionEnvironment) -> tuple[object, ...]:
        apis, now = environment._apis, self.loop.now
        is_starting = environment.state in (EnvironmentState.STARTING, EnvironmentState.RESTORING)
        return (
            environment.state,
            environment._phase,
            environment._ended_by,
            apis.runtime,
            apis.waiting_slots,
            apis.unanswered,
            apis.has_ended,
            len(apis._invocations),
            round(max(0.0, environment._asks_until - now), 3),
            round(environment._idle_until - now, 3),
            round(now - _sandbox(environment).opened_at, 3) if is_starting else 0,
            *((each.state, round(timer.when() - now, 3)) for each, (_, timer) in environment._running.items()),
        )

    # --- the end ---------------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """Let the runtimes do their work, without any further invocation. Raises Violation if one does not end."""
        for _ in range(_ROUNDS):
            if all(each._finished.is_set() for each in self.invocations):
                return
            event = next(self._useful(), None)
            self.apply(("wait", 0, 0) if event is None else event)
        raise Violation("an invocation never ends, though every runtime does its work")

    def _useful(self) -> Iterator[Event]:
        for number, environment in enumerate(self.environments):
            if environment.is_closing:
                yield "end", number, 0
            elif environment._apis.has_ended:
                yield "time_out", 0, 0
            elif self._unanswered(environment):
                yield "answer", number, 0
            elif self._may_ask(environment):
                yield "next", number, 0

    def close(self) -> None:
        """Stop the function. Raises Violation if an invocation gets no answer."""
        self.loop.call_soon(self._running.cancel)
        for _ in range(2):
            for environment in self.environments:
                _sandbox(environment).ended.set()
            self.loop.run_forever()
        lost = [each.request_id for each in self.invocations if not each._finished.is_set()]
        is_stopped = self._running.done()
        self.loop.close()
        if lost or not is_stopped or self.faults:
            raise Violation(f"the function does not stop: {lost} have no answer; {self.faults}")

    def abandon(self) -> None:
        """Close a model in which something is wrong."""
        with contextlib.suppress(Violation):
            self.close()


def _sandbox(environment: ExecutionEnvironment) -> ModelSandbox:
    return cast("ModelSandbox", environment._sandbox)


class Explorer:
    """Runs a model through its states. ``states`` and ``steps`` are how many were seen."""

    def __init__(self, make: Callable[[], Model]) -> None:
        self._make = make
        self.steps = 0
        self.states = 0

    def explore(self, depth: int) -> None:
        """Visit every state that up to ``depth`` events lead to. Raises Violation with the events that led there."""
        seen: set[object] = set()
        paths: list[tuple[Event, ...]] = [()]
        for path in paths:
            model = self._run(path)
            state = model.state()
            if state not in seen:
                seen.add(state)
                if len(path) < depth:
                    paths.extend((*path, event) for event in model.enabled())
                self._end(model, path)
            else:
                self._close(model, path)
        self.states += len(seen)

    def _run(self, path: tuple[Event, ...]) -> Model:
        model = self._make()
        for number, event in enumerate(path, 1):
            self._step(model, event, path[:number])
        return model

    def walk(self, choose: Callable[[list[Event]], Event], length: int) -> None:
        """Let ``length`` events happen, each chosen by ``choose``. Raises Violation with the events that led there."""
        model = self._make()
        path: tuple[Event, ...] = ()
        seen: set[object] = set()
        for _ in range(length):
            event = choose(list(model.enabled()))
            path = (*path, event)
            self._step(model, event, path)
            seen.add(model.state())
        self.states += len(seen)
        self._end(model, path)

    def _step(self, model: Model, event: Event, path: tuple[Event, ...]) -> None:
        self.steps += 1
        try:
            model.apply(event)
        except Violation as error:
            model.abandon()
            raise Violation(f"{error}, after {_told(path)}") from error

    def _end(self, model: Model, path: tuple[Event, ...]) -> None:
        try:
            model.finish()
        except Violation as error:
            model.abandon()
            raise Violation(f"{error}, in the end, after {_told(path)}") from error
        self._close(model, path)

    @staticmethod
    def _close(model: Model, path: tuple[Event, ...]) -> None:
        try:
            model.close()
        except Violation as error:
            raise Violation(f"{error}, after {_told(path)}") from error


def _told(path: tuple[Event, ...]) -> str:
    return " ".join(f"{what}({number},{which})" for what, number, which in path) or "nothing"
