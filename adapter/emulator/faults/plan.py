"""The plan of faults to inject: a rate, a request header and a seed decide which faults an invocation has.

    KIND[=AMOUNT][:RATE][@HEADER[=VALUE]]        delay=2:10%    kill=1MB@x-fault    throttle@x-fault=busy

Every fault has its own random number generator and draws one number for each invocation that it applies to. So with the
same seed and the same sequence of invocations, the fault at a given position in the list hits the same invocations,
whatever the other faults are.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from adapter.config.parsers import nearest, seconds, size
from adapter.errors import ConfigurationError
from adapter.numbers import decimal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from adapter.payload.headers import Headers


class Kind(Enum):
    """The kinds of faults."""

    DELAY = "delay"
    THROTTLE = "throttle"
    KILL = "kill"
    TRUNCATE = "truncate"
    FILL = "fill"
    DROP = "drop"
    INIT = "init"


# The default amount of each kind that has one: seconds for DELAY, bytes of the body for the others.
_AMOUNTS = {Kind.DELAY: 1.0, Kind.KILL: 0, Kind.TRUNCATE: 0, Kind.DROP: 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault. ``rate`` is its probability, from 0 to 1.

    The fault applies to requests in which the header ``header`` has the value ``value``. ``header`` is in lower case.
    An empty ``header`` means all requests; a ``value`` of None means any value.
    """

    kind: Kind
    amount: float = 0
    rate: float = 1.0
    header: str = ""
    value: str | None = None

    def applies_to(self, headers: Headers) -> bool:
        """Return True if ``headers`` contain the header that the fault requires. The rate is not considered."""
        if not self.header:
            return True
        values = [value for name, value in headers if name.lower() == self.header]
        return bool(values) if self.value is None else self.value in values


def parse_faults(text: str) -> tuple[Fault, ...]:
    """Return the faults in ``text``, a comma-separated list. Raises ConfigurationError with a line for each mistake."""
    faults = []
    mistakes = []
    for part in filter(None, map(str.strip, text.split(","))):
        try:
            faults.append(_parse_fault(part))
        except ValueError as error:
            mistakes.append(f"{part!r} {error}")
    if mistakes:
        raise ConfigurationError(mistakes)
    return tuple(faults)


def _parse_fault(text: str) -> Fault:
    """Return the fault in ``text``. Raises ValueError if it is not valid.

    The error's message continues a sentence that begins with ``text``.
    """
    what, at, condition = text.partition("@")
    what, _, rate = what.partition(":")
    name, equals, amount = what.partition("=")
    header, has_value, value = condition.partition("=")
    try:
        kind = Kind(name)
    except ValueError:
        kinds = [kind.value for kind in Kind]
        raise ValueError(f"is not a fault; use one of {', '.join(kinds)}{nearest(name, kinds)}") from None
    if equals and kind not in _AMOUNTS:
        raise ValueError(f"has an amount, which {name} does not use")
    if at and kind is Kind.INIT:
        raise ValueError("has a header, but an init has no request; use init, init:RATE or kill@HEADER")
    if at and not header:
        raise ValueError("has no header after the @; use a form such as kill@x-fault")
    parse_amount = seconds if kind is Kind.DELAY else size
    return Fault(
        kind=kind,
        amount=parse_amount(amount) if equals else _AMOUNTS.get(kind, 0),
        rate=_parse_rate(rate) if rate else 1.0,
        header=header.lower(),
        value=value if has_value else None,
    )


def _parse_rate(text: str) -> float:
    number = decimal(text.removesuffix("%"))
    rate = None if number is None else number / (100 if text.endswith("%") else 1)
    if rate is None or rate > 1:
        raise ValueError(f"has the rate {text!r}; use a number from 0 to 1 or a percentage, for example 0.1 or 10%")
    return rate


class FaultPlan:
    """Draws the faults of each invocation and each init phase. The same ``seed`` leads to the same faults.

    ``has_faults`` is False if the plan is empty.
    """

    def __init__(self, faults: Sequence[Fault] = (), seed: int = 0) -> None:
        self._seed = seed
        self.replace(faults)

    def replace(self, faults: Sequence[Fault]) -> None:
        """Replace all faults, and restart their random number generators."""
        self.has_faults = bool(faults)
        self._faults = [(fault, random.Random(f"{self._seed}/{number}")) for number, fault in enumerate(faults)]

    def for_invocation(self, headers: Headers) -> dict[Kind, Fault]:
        """Draw and return the faults of the next invocation, at most one of each kind.

        ``headers`` are the headers of the invocation's request.
        """
        return {
            fault.kind: fault
            for fault, numbers in self._faults
            if fault.kind is not Kind.INIT and fault.applies_to(headers) and numbers.random() < fault.rate
        }

    def fails_init(self) -> bool:
        """Draw random numbers; return True if the next init phase must fail."""
        # Every fault draws its number, even if an earlier one hits, so that faults stay independent.
        drawn = [numbers.random() < fault.rate for fault, numbers in self._faults if fault.kind is Kind.INIT]
        return any(drawn)
