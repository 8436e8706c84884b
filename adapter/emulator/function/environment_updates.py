"""The updates that an execution environment sends to the scheduler, which decides how to respond to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from adapter.emulator.environment.invocation import LocalInvocation
    from adapter.emulator.environment.result import Failure


@dataclass(frozen=True, slots=True)
class Started:
    """Init or the restore has succeeded: the environment accepts invocations, or its snapshot is ready.

    ``notice`` is a line for the user.
    """

    notice: str


@dataclass(frozen=True, slots=True)
class StartFailed:
    """``phase`` (init or restore) has failed. ``failure(request_id)`` returns the failure for this request."""

    phase: str
    failure: Callable[[str], Failure]


@dataclass(frozen=True, slots=True)
class SlotFreed:
    """A slot of the runtime is free, so the environment accepts an invocation."""


@dataclass(frozen=True, slots=True)
class InvocationConcluded:
    """``invocation`` has ended in the environment, successfully or not."""

    invocation: LocalInvocation


Update: TypeAlias = Started | StartFailed | SlotFreed | InvocationConcluded
