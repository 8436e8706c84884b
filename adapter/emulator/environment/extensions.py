"""The extensions of one environment and their states, as a table. No I/O.

External extensions are files that the emulator starts; they are known before they register. Internal ones are part of
the runtime's process and make themselves known by registering, which is possible until the init phase is over.

    started ──register──► registered ──next──► ready ──event──► running ──next──► ready
                              └── init_error, exit_error            └── exit_error

What the table does not have is refused as Lambda refuses it (types: the official emulator's source, rapi/handler).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator

# How many extensions an environment may have (the official emulator's source, core/registrations).
MAX_EXTENSIONS = 10

INVOKE, SHUTDOWN = "INVOKE", "SHUTDOWN"

STARTED, REGISTERED, READY, RUNNING = "Started", "Registered", "Ready", "Running"
INIT_ERROR, EXIT_ERROR = "InitError", "ExitError"

_TRANSITIONS: dict[tuple[str, str], str] = {
    (STARTED, "register"): REGISTERED,
    (REGISTERED, "next"): READY,
    (REGISTERED, "init_error"): INIT_ERROR,
    (REGISTERED, "exit_error"): EXIT_ERROR,
    (READY, "event"): RUNNING,
    (READY, "exit_error"): EXIT_ERROR,
    (RUNNING, "next"): READY,
    (RUNNING, "exit_error"): EXIT_ERROR,
    (INIT_ERROR, "init_error"): INIT_ERROR,
    (EXIT_ERROR, "exit_error"): EXIT_ERROR,
}
# Where each call would lead, for the words of a refusal.
_GOALS = {"register": REGISTERED, "next": READY, "init_error": INIT_ERROR, "exit_error": EXIT_ERROR}


class RefusedExtension(Exception):
    """A call of an extension that is answered with 403. ``error_type`` is AWS's."""

    def __init__(self, error_type: str, message: str) -> None:
        super().__init__(message)
        self.error_type = error_type


class Extension:
    """One extension. ``events`` are those that it registered for."""

    def __init__(self, name: str, *, external: bool) -> None:
        self.name = name
        self.external = external
        self.identifier = str(uuid.uuid4())
        self.state = STARTED
        self.events: frozenset[str] = frozenset()

    def advance(self, call: str) -> None:
        """Let a call happen. Raises RefusedExtension where it may not."""
        goal = _TRANSITIONS.get((self.state, call))
        if goal is None:
            raise RefusedExtension(
                "Extension.InvalidExtensionState",
                f"State transition from {self.state} to {_GOALS.get(call, call)} failed for extension "
                f"{self.identifier}. Error: State transition is not allowed",
            )
        self.state = goal

    def lose(self) -> None:
        """Its connection in ``/event/next`` is gone; it may ask again."""
        if self.state == READY:
            self.state = RUNNING


class Extensions:
    """All extensions of one environment; ``external`` are the names of those that are started by the emulator.

    ``with_invoke``: whether there is an INVOKE event (under Managed Instances there is none).
    """

    def __init__(self, external: Iterable[str] = (), *, with_invoke: bool = True) -> None:
        self._by_name = {name: Extension(name, external=True) for name in external}
        self._event_types = frozenset({INVOKE, SHUTDOWN} if with_invoke else {SHUTDOWN})
        self.closed = False

    def __iter__(self) -> Iterator[Extension]:
        return iter(self._by_name.values())

    def __len__(self) -> int:
        return len(self._by_name)

    @property
    def registered(self) -> bool:
        """Whether every external extension has registered, after which the runtime is started."""
        return all(extension.state != STARTED for extension in self)

    @property
    def initialised(self) -> bool:
        """Whether every extension has asked for its first event, which ends the init phase."""
        return all(extension.state in (READY, RUNNING) for extension in self)

    @property
    def waiting(self) -> bool:
        """Whether every extension that is told of invocations waits for the next one."""
        return all(extension.state == READY for extension in self if INVOKE in extension.events)

    def register(self, name: str, events: Iterable[object]) -> Extension:
        """A registration. Raises RefusedExtension."""
        extension = self._by_name.get(name)
        known = extension is not None and extension.external
        allowed = self._event_types if known else self._event_types - {SHUTDOWN}
        for event in events:
            # JSON has values that no set can be asked for.
            if not isinstance(event, str) or event not in allowed:
                raise RefusedExtension("Extension.InvalidEventType", f"{event}: no event that can be registered for")
        if not known:
            extension = self._new_internal(name)
        assert extension is not None
        extension.advance("register")
        extension.events = frozenset(str(event) for event in events)
        return extension

    def find(self, identifier: str) -> Extension:
        """The extension that ``identifier`` was given to. Raises RefusedExtension."""
        if not identifier:
            raise RefusedExtension("Extension.MissingExtensionIdentifier", "Missing Lambda-Extension-Identifier header")
        try:
            normal = str(uuid.UUID(identifier))
        except ValueError:
            raise RefusedExtension(
                "Extension.InvalidExtensionIdentifier", "Invalid Lambda-Extension-Identifier"
            ) from None
        for extension in self:
            if extension.identifier == normal and extension.state != STARTED:
                return extension
        raise RefusedExtension("Extension.UnknownExtensionIdentifier", f"Unknown extension {normal}")

    def _new_internal(self, name: str) -> Extension:
        if self.closed:
            raise RefusedExtension("Extension.RegistrationClosed", "Extension registration closed already")
        if name in self._by_name:
            raise RefusedExtension("Extension.InvalidExtensionState", "Extension with this name already registered")
        if len(self) >= MAX_EXTENSIONS:
            raise RefusedExtension("Extension.TooManyExtensions", f"Extension limit ({MAX_EXTENSIONS}) reached")
        self._by_name[name] = Extension(name, external=False)
        return self._by_name[name]
