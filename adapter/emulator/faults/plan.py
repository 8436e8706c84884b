"""Faults on purpose: which of them an invocation gets, decided by a rate, a request header and a seed.

    KIND[=AMOUNT][:RATE][@HEADER[=VALUE]]        delay=2:10%    kill=1MB@x-fault    throttle@x-fault=busy

Every fault has random numbers of its own, one for each invocation that it could hit. So the same seed and the same
invocations give the same faults, whatever other faults there are.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from adapter.config.parsers import nearest, seconds, size
from adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from adapter.payload.headers import Headers


class Kind(Enum):
    """What goes wrong."""

    DELAY = "delay"
    THROTTLE = "throttle"
    KILL = "kill"
    TRUNCATE = "truncate"
    FILL = "fill"
    DROP = "drop"
    INIT = "init"


# What an amount is for each kind, and the one where none is given: seconds, or bytes of the body. The others have none.
_AMOUNTS = {Kind.DELAY: 1.0, Kind.KILL: 0, Kind.TRUNCATE: 0, Kind.DROP: 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """``rate`` is from 0 to 1. ``header`` is in lower case, empty for every invocation; ``value`` None for any."""

    kind: Kind
    amount: float = 0
    rate: float = 1.0
    header: str = ""
    value: str | None = None

    def concerns(self, headers: Headers) -> bool:
        """Whether an invocation whose request has these headers may get it."""
        if not self.header:
            return True
        found = [value for name, value in headers if name.lower() == self.header]
        return bool(found) if self.value is None else self.value in found


def parse_faults(text: str) -> tuple[Fault, ...]:
    """Faults with commas between them. Raises ConfigurationError with a line for each that is none."""
    faults = []
    mistakes = []
    for part in filter(None, map(str.strip, text.split(","))):
        try:
            faults.append(_parsed(part))
        except ValueError as error:
            mistakes.append(f"{part!r} {error}")
    if mistakes:
        raise ConfigurationError(mistakes)
    return tuple(faults)


def _parsed(text: str) -> Fault:
    """One fault. Raises ValueError whose message completes "'TEXT' …"."""
    what, at, where = text.partition("@")
    what, _, rate = what.partition(":")
    name, equals, amount = what.partition("=")
    header, has_value, value = where.partition("=")
    try:
        kind = Kind(name)
    except ValueError:
        kinds = [kind.value for kind in Kind]
        raise ValueError(f"is no fault; use one of {', '.join(kinds)}{nearest(name, kinds)}") from None
    if equals and kind not in _AMOUNTS:
        raise ValueError(f"gives an amount to {name}, which takes none")
    if at and kind is Kind.INIT:
        raise ValueError("has a header, but an init serves no request; use init or init:RATE, or kill@HEADER")
    if at and not header:
        raise ValueError("names no header after the @, for example kill@x-fault")
    parse_amount = seconds if kind is Kind.DELAY else size
    return Fault(
        kind=kind,
        amount=parse_amount(amount) if equals else _AMOUNTS.get(kind, 0),
        rate=_rate(rate) if rate else 1.0,
        header=header.lower(),
        value=value if has_value else None,
    )


def _rate(text: str) -> float:
    try:
        rate = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        rate = -1.0
    if not 0 <= rate <= 1:
        raise ValueError(f"has the rate {text!r}; use a share such as 0.1 or 10%")
    return rate


class FaultPlan:
    """Decides for one invocation, or init, after the other."""

    def __init__(self, faults: Sequence[Fault] = (), seed: int = 0) -> None:
        self._faults = [(fault, random.Random(f"{seed}/{number}")) for number, fault in enumerate(faults)]

    def for_invocation(self, headers: Headers) -> dict[Kind, Fault]:
        """The faults of the next invocation, at most one of each kind."""
        return {
            fault.kind: fault
            for fault, numbers in self._faults
            if fault.kind is not Kind.INIT and fault.concerns(headers) and numbers.random() < fault.rate
        }

    def fails_init(self) -> bool:
        """Whether the next init phase is to fail."""
        drawn = [numbers.random() < fault.rate for fault, numbers in self._faults if fault.kind is Kind.INIT]
        return any(drawn)
