"""What an execution environment reports to the scheduler. All decisions that follow from it are the scheduler's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from adapter.emulator.environment.invocation import LocalInvocation
    from adapter.emulator.environment.result import Failure


@dataclass(frozen=True, slots=True)
class Started:
    """Init or the restore is done: it takes invocations, or can be restored for one. ``notice`` is for the user."""

    notice: str


@dataclass(frozen=True, slots=True)
class StartFailed:
    """``phase`` (init, restore) failed. ``failure`` returns how, for an invocation with the given request id."""

    phase: str
    failure: Callable[[str], Failure]


@dataclass(frozen=True, slots=True)
class SlotFreed:
    """The runtime asks for an invocation, and the environment can take one."""


@dataclass(frozen=True, slots=True)
class InvocationConcluded:
    """Nothing more happens in an invocation that was handed over."""

    invocation: LocalInvocation


Update: TypeAlias = Started | StartFailed | SlotFreed | InvocationConcluded
