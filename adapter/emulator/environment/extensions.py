"""The state of the extensions of one environment. No I/O.

External extensions are programs that the emulator starts; their names are known before they register. Internal
extensions are part of the runtime's process; their names become known when they register, during the init phase.

A request for which the EXTENSION table has no transition is refused as on Lambda. The error types are from the official
emulator's source (rapi/handler).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from adapter.emulator.environment.invocation import new_request_id
from adapter.emulator.environment.state_tables import EXTENSION, ExtensionEvent, ExtensionState

if TYPE_CHECKING:
    import asyncio

# The maximum number of extensions of an environment (the official emulator's source, core/registrations).
MAX_EXTENSIONS = 10

# The events that an extension can register for.
INVOKE, SHUTDOWN = "INVOKE", "SHUTDOWN"

# The state to which each request leads. If the request is refused, the message contains this state.
_GOALS = {
    ExtensionEvent.REGISTER: ExtensionState.REGISTERED,
    ExtensionEvent.NEXT: ExtensionState.READY,
    ExtensionEvent.INIT_ERROR: ExtensionState.INIT_ERROR,
    ExtensionEvent.EXIT_ERROR: ExtensionState.EXIT_ERROR,
}


class RefusedExtension(Exception):
    """An extension sent a request that is refused with status 403. ``error_type`` is one of AWS's error types."""

    def __init__(self, error_type: str, message: str) -> None:
        super().__init__(message)
        self.error_type = error_type


class Extension:
    """One extension.

    ``events`` are the types of the events for which the extension registered. ``poll`` is the future of the extension's
    next event, as JSON; ``poll`` is None before the extension first asks for an event.
    """

    def __init__(self, name: str, *, external: bool) -> None:
        self.name = name
        self.external = external
        self.identifier = new_request_id()
        self.state = ExtensionState.STARTED
        self.events: frozenset[str] = frozenset()
        self.poll: asyncio.Future[bytes] | None = None

    def request(self, event: ExtensionEvent) -> None:
        """Apply ``event``, which is a request of the extension, to the extension's state.

        Raises RefusedExtension if Lambda would refuse the request.
        """
        if (self.state, event) not in EXTENSION:
            raise RefusedExtension(
                "Extension.InvalidExtensionState",
                f"State transition from {self.state.value} to {_GOALS[event].value} failed for extension "
                f"{self.identifier}. Error: State transition is not allowed",
            )
        self.state = EXTENSION[self.state, event]

    def send(self, event: bytes) -> None:
        """Send an event to the extension. Raises IllegalTransitionError if the extension is not waiting for one."""
        self.state = EXTENSION[self.state, ExtensionEvent.EVENT]
        if self.poll is not None and not self.poll.done():
            self.poll.set_result(event)

    def disconnect(self) -> None:
        """Record that the extension closed the connection of its ``/event/next`` request. It may send a new request."""
        if (self.state, ExtensionEvent.DISCONNECTED) in EXTENSION:
            self.state = EXTENSION[self.state, ExtensionEvent.DISCONNECTED]


class Extensions:
    """All extensions of one environment.

    ``external`` are the names of the extensions that the emulator starts. ``with_invoke`` is False under Managed
    Instances, which have no INVOKE events. ``invoked`` are the extensions that registered for INVOKE events.
    ``is_closed`` is True after the init phase; from then on, new internal extensions are refused.
    """

    def __init__(self, external: Iterable[str] = (), *, with_invoke: bool = True) -> None:
        self._by_name = {name: Extension(name, external=True) for name in external}
        self._event_types = frozenset({INVOKE, SHUTDOWN} if with_invoke else {SHUTDOWN})
        self.invoked: list[Extension] = []
        self.is_closed = False

    def __iter__(self) -> Iterator[Extension]:
        return iter(self._by_name.values())

    def __len__(self) -> int:
        return len(self._by_name)

    @property
    def are_registered(self) -> bool:
        """Whether every external extension has registered. Only then is the runtime started."""
        return all(extension.state is not ExtensionState.STARTED for extension in self)

    @property
    def are_initialized(self) -> bool:
        """Whether every extension has asked for its first event and none has failed. Only then can init end."""
        return all(extension.state in (ExtensionState.READY, ExtensionState.RUNNING) for extension in self)

    @property
    def uninitialized(self) -> list[str]:
        """The names of the extensions that have not yet asked for their first event."""
        states = (ExtensionState.STARTED, ExtensionState.REGISTERED)
        return [extension.name for extension in self if extension.state in states]

    def register(self, name: str, events: Iterable[object]) -> Extension:
        """Register the extension ``name`` for ``events`` and return it.

        Raises RefusedExtension if Lambda would refuse the registration.
        """
        extension = self._by_name.get(name)
        known = extension is not None and extension.external
        allowed = self._event_types if known else self._event_types - {SHUTDOWN}
        for event in events:
            # The events were parsed from JSON, so an item may be unhashable. The set cannot look up such an item.
            if not isinstance(event, str) or event not in allowed:
                raise RefusedExtension("Extension.InvalidEventType", f"{name} cannot register for {event}")
        if not known:
            extension = self._new_internal(name)
        assert extension is not None
        extension.request(ExtensionEvent.REGISTER)
        extension.events = frozenset(str(event) for event in events)
        if INVOKE in extension.events:
            self.invoked.append(extension)
        return extension

    def find(self, identifier: str) -> Extension:
        """Return the registered extension with ``identifier``. Raises RefusedExtension if there is none."""
        if not identifier:
            raise RefusedExtension("Extension.MissingExtensionIdentifier", "Missing Lambda-Extension-Identifier header")
        if found := self._find(identifier):
            return found
        import uuid  # needed only if the identifier is wrong or has another form

        try:
            normal = str(uuid.UUID(identifier))
        except ValueError:
            raise RefusedExtension(
                "Extension.InvalidExtensionIdentifier", "Invalid Lambda-Extension-Identifier"
            ) from None
        if found := self._find(normal):
            return found
        raise RefusedExtension("Extension.UnknownExtensionIdentifier", f"Unknown extension {normal}")

    def _find(self, identifier: str) -> Extension | None:
        for extension in self:
            if extension.identifier == identifier and extension.state is not ExtensionState.STARTED:
                return extension
        return None

    def _new_internal(self, name: str) -> Extension:
        if self.is_closed:
            raise RefusedExtension("Extension.RegistrationClosed", "Extension registration closed already")
        if name in self._by_name:
            raise RefusedExtension("Extension.InvalidExtensionState", "Extension with this name already registered")
        if len(self) >= MAX_EXTENSIONS:
            raise RefusedExtension("Extension.TooManyExtensions", f"Extension limit ({MAX_EXTENSIONS}) reached")
        self._by_name[name] = Extension(name, external=False)
        return self._by_name[name]
