"""Many invocation slots in one thread: the code of one slot, blocking as it reads, as a greenlet for each.

Threads cost twice as much: every system call gives the interpreter's lock away, and the others fight for it. Here a
slot runs until one of its connections has to wait, and the thread waits for all of them in one system call. Nobody is
interrupted, so whatever else takes long holds the others up: encoding megabytes, compressing, a line that stderr does
not take (logs.py bounds that).

Imported only where there is more than one slot.
"""

from __future__ import annotations

import errno
import os
import select
import sys
from select import POLLIN, POLLOUT
from time import monotonic

from greenlet import getcurrent, greenlet

from adapter.errors import AppTimeout
from adapter.runtime.connection import CONNECT_TIMEOUT, Connection, connect

# What waits for all connections, and how many of its timeout's units a second has. The two take the same calls, and
# the same numbers for events; epoll does not look through the connections that are silent.
if sys.platform == "linux":
    _new_poller, _SECOND = select.epoll, 1
else:
    _new_poller, _SECOND = select.poll, 1000

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable

    from adapter.net.address import Address
    from adapter.runtime.connection import Place

# How long to wait before a Unix socket is asked again whose backlog is full, in seconds; nothing tells when it is not.
_BACKLOG_PAUSE = 0.005
# What connect(2) answers while a connection is being made, when it is there, and where there is no room in a backlog.
_CONNECTING = (errno.EINPROGRESS, errno.EALREADY)
_CONNECTED = (0, errno.EISCONN)
_FULL = errno.EAGAIN


class Slots:
    """Runs slots side by side. ``stopped()`` is asked when the descriptor ``wake_up`` became readable, and resets it.

    ``hurried()`` is asked then as well: whether slots that have something under way have but a moment left for it.
    What a slot waits for is named by a descriptor, or by the slot itself where it only pauses.
    """

    def __init__(self, *, wake_up: int, stopped: Callable[[], bool], hurried: Callable[[], bool]) -> None:
        self._wake_up = wake_up
        self._stopped = stopped
        self._hurried = hurried
        # What waits while no slot can run.
        self._hub = getcurrent()
        self._poller = _new_poller()
        self._poller.register(wake_up, POLLIN)
        # The events that the poller was asked for, by descriptor. They stay while nobody waits for them, since taking
        # them back and asking again would be two system calls.
        self._watched: dict[int, int] = {}
        self._waiting: dict[object, greenlet] = {}
        self._deadlines: dict[object, float] = {}
        # What ends when the wake-up comes, and what ends when nobody waits for the app any longer.
        self._wakeable: set[object] = set()
        self._cuttable: set[object] = set()
        # When to look for deadlines that have passed: not later than the first of them.
        self._due: float | None = None
        # Whether ``stopped()`` has been found to be so.
        self.is_ending = False
        # Whether ``hurried()`` has been, and whether connections to the app wait no longer.
        self._is_hurried = False
        self.is_cut_off = False

    def connect(self, address: Address) -> Connection:
        """A connection to ``address`` that lets the other slots run while it waits. Raises OSError."""
        return SlotConnection(address, self, to_app=False)

    def connect_to_app(self, address: Address) -> Connection:
        """The same, whose waiting ends as by its deadline when ``run`` has no more time for the app."""
        return SlotConnection(address, self, to_app=True)

    def run(self, serve: Callable[[], None], *, count: int, grace: float, final_grace: float) -> None:
        """Run ``count`` slots that ``serve``; return when all have, however long that takes, unless ``hurried()``.

        From then on the app has ``grace`` seconds for its answers. The slots that it left without one have
        ``final_grace`` seconds to say so, and what is left then is unwound, as by an exception. What a slot raises is
        raised here.
        """
        slots = [greenlet(serve) for _ in range(count)]
        try:
            for slot in slots:
                slot.switch()
            while self._waiting and not self._is_hurried:
                self._switch(self._ready(None))
            self._run_for(grace)
            self.is_cut_off = True
            self._switch(self._taken(self._cuttable))
            self._run_for(final_grace)
        finally:
            for slot in slots:
                slot.throw()

    def _run_for(self, seconds: float) -> None:
        give_up = monotonic() + seconds
        while self._waiting and monotonic() < give_up:
            self._switch(self._ready(give_up))

    def _switch(self, ready: list[tuple[greenlet, int]]) -> None:
        for slot, events in ready:
            slot.switch(events)

    def wait(self, descriptor: int, events: int, deadline: float | None = None) -> int:
        """Let the others run until one of ``events`` of poll() comes, and give those that came; 0 past the deadline."""
        self._watch(descriptor, events)
        return self._leave(descriptor, deadline, None)

    def wait_for_wake_up_or(self, descriptor: int, events: int) -> int:
        """The same; 0 when the wake-up descriptor became readable."""
        self._watch(descriptor, events)
        return self._leave(descriptor, None, self._wakeable)

    def wait_for_app(self, descriptor: int, events: int, deadline: float | None) -> int:
        """As ``wait``; 0 also when there is no more time for the app."""
        if self.is_cut_off:
            return 0
        self._watch(descriptor, events)
        return self._leave(descriptor, deadline, self._cuttable)

    def _watch(self, descriptor: int, events: int) -> None:
        watched = self._watched.get(descriptor)
        if watched != events:
            if watched is None:
                self._poller.register(descriptor, events)
            else:
                self._poller.modify(descriptor, events)
            self._watched[descriptor] = events

    def pause(self, seconds: float) -> None:
        """Let the others run for so long, or until the wake-up descriptor becomes readable."""
        self._leave(getcurrent(), monotonic() + seconds, self._wakeable)

    def forget(self, descriptor: int) -> None:
        """Watch a descriptor no longer, as before it is closed; ``wait`` begins to again."""
        if self._watched.pop(descriptor, None) is not None:
            self._poller.unregister(descriptor)

    def _leave(self, name: object, deadline: float | None, group: set[object] | None) -> int:
        """Let the others run until what the slot waits for, ``name``, has come or is due, or ``group`` is called."""
        self._waiting[name] = getcurrent()
        if deadline is not None:
            self._deadlines[name] = deadline
            if self._due is None or deadline < self._due:
                self._due = deadline
        if group is not None:
            group.add(name)
        try:
            events: int = self._hub.switch()
        except BaseException:
            # Unwound while it waited: whoever gets the descriptor's number next must not be taken for this slot.
            self._waiting.pop(name, None)
            raise
        finally:
            if deadline is not None:
                del self._deadlines[name]
            if group is not None:
                group.remove(name)
        return events

    def _ready(self, give_up: float | None) -> list[tuple[greenlet, int]]:
        """Wait until slots can go on: which, and with what events.

        Nobody runs before all of it is known: a slot may close a descriptor and get its number again for another one.
        """
        ready: list[tuple[greenlet, int]] = []
        woken = False
        for descriptor, events in self._poller.poll(self._timeout(give_up)):
            slot = self._waiting.pop(descriptor, None)
            if slot is not None:
                ready.append((slot, events))
            elif descriptor == self._wake_up:
                woken = True
            else:
                # Nobody waits for it now: it has hung up, or has more to say than its slot can take at the moment.
                self.forget(descriptor)
        if woken:
            self.is_ending = self._stopped()
            self._is_hurried = self._hurried()
            ready += self._taken(self._wakeable)
        if self._due is not None and monotonic() >= self._due:
            ready += self._taken(self._overdue())
        return ready

    def _timeout(self, give_up: float | None) -> float | None:
        ends = [end for end in (self._due, give_up) if end is not None]
        return max(0.0, min(ends) - monotonic()) * _SECOND if ends else None

    def _taken(self, names: set[object]) -> list[tuple[greenlet, int]]:
        """Those of ``names`` that wait, with no events."""
        return [(self._waiting.pop(name), 0) for name in names if name in self._waiting]

    def _overdue(self) -> set[object]:
        now = monotonic()
        overdue = {name for name, deadline in self._deadlines.items() if deadline <= now}
        # Only now: looking for the first deadline whenever one is taken away would cost more than being woken early.
        self._due = min((self._deadlines[name] for name in self._deadlines.keys() - overdue), default=None)
        return overdue


class SlotConnection(Connection):
    """A connection of one of ``slots``: where another would wait in the kernel, it leaves the thread to the others."""

    __slots__ = ("_slots", "_wait_for")

    def __init__(self, address: Address, slots: Slots, *, to_app: bool) -> None:
        self._slots = slots
        # Gives the events that came, or 0.
        self._wait_for: Callable[[int, int, float | None], int] = slots.wait_for_app if to_app else slots.wait
        super().__init__(address)

    def close(self) -> None:
        """Close the socket; more than once is fine."""
        self._slots.forget(self.fileno())
        super().close()

    def readable_or_stopped(self, wake_up: int, stopped: Callable[[], bool]) -> bool:
        """Wait until there is something to receive (True) or ``stopped()`` and there is nothing (False)."""
        # The wake-up may have come while this slot was not waiting for one.
        while self._slots.is_ending or not self._slots.wait_for_wake_up_or(self.fileno(), POLLIN):
            if stopped():
                return not self.is_open()
        return True

    def _connect(self, address: Address) -> _socket.socket:
        return connect(address, CONNECT_TIMEOUT, self._reach)

    def _reach(self, connecting: _socket.socket, place: Place, timeout: float) -> None:
        try:
            connecting.setblocking(False)
            self._finish_connecting(connecting, place, monotonic() + timeout)
            connecting.setblocking(True)
        except BaseException:
            # It will be closed, also where the slot was unwound.
            self._slots.forget(connecting.fileno())
            raise

    def _finish_connecting(self, connecting: _socket.socket, place: Place, give_up: float) -> None:
        while (code := connecting.connect_ex(place)) not in _CONNECTED:
            if code in _CONNECTING:
                in_time = self._wait_for(connecting.fileno(), POLLOUT, give_up) != 0
            elif code == _FULL:
                self._slots.pause(_BACKLOG_PAUSE)
                in_time = monotonic() < give_up
            else:
                raise OSError(code, os.strerror(code))
            if not in_time:
                raise TimeoutError("timed out")

    def _wait_readable(self) -> None:
        if self._unsent:
            self._send_until_readable()
        self._wait(POLLIN)

    def _poll(self, events: int) -> int:
        came = self._wait_for(self.fileno(), events, self.deadline)
        if not came and self._slots.is_cut_off:
            raise AppTimeout("the app did not answer before the environment ended")
        return came
