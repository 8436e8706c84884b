"""Many invocation slots in one thread. Each slot is a greenlet that runs the same blocking code as a single slot.

Threads would take twice the CPU time: every system call releases the interpreter's lock, and the threads compete for
this lock. Here a slot runs until one of its connections has to wait. When no slot can run, one system call waits for
all connections. A running slot is not interrupted. So long work, such as encoding or compressing megabytes, delays the
other slots. A wait for room in a full stderr pipe delays them, too (``output.py`` limits this wait).

This module is imported only if there is more than one slot.
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
from adapter.runtime.connection import Connection

# The poller that waits for all connections, and one second in the unit of its timeout. Both pollers have the same
# methods and event numbers. epoll is faster, since it does not check silent connections.
if sys.platform == "linux":
    _new_poller, _SECOND = select.epoll, 1
else:
    _new_poller, _SECOND = select.poll, 1000

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable

    from adapter.net.address import Address
    from adapter.runtime.connection import SocketAddress

# The pause before another attempt to connect to a Unix socket whose backlog is full, in seconds. poll() has no event
# for this.
_BACKLOG_PAUSE = 0.005
# The codes of connect(2) if the connection is being made, if it exists, and if the backlog is full.
_CONNECTING = (errno.EINPROGRESS, errno.EALREADY)
_CONNECTED = (0, errno.EISCONN)
_FULL = errno.EAGAIN


class Slots:
    """Runs slots, each a greenlet that handles one invocation after another.

    When the descriptor ``wake_up`` becomes readable, ``should_stop()`` and then ``is_urgent()`` are called.
    ``should_stop`` must empty the pipe behind the descriptor, and returns True if the slots must end. ``is_urgent``
    returns True if slots have little time left for their invocations. Each wait of a slot has a key: the descriptor
    that the slot waits for, or the slot itself if it pauses.
    """

    def __init__(self, *, wake_up: int, should_stop: Callable[[], bool], is_urgent: Callable[[], bool]) -> None:
        self._wake_up = wake_up
        self._should_stop = should_stop
        self._check_urgency = is_urgent
        # The greenlet that runs while no slot can run.
        self._hub = getcurrent()
        self._poller = _new_poller()
        self._poller.register(wake_up, POLLIN)
        # The events that the poller reports, by descriptor. They stay registered while no slot waits for them, since
        # removing and adding them again would be two system calls.
        self._watched: dict[int, int] = {}
        self._waiting: dict[object, greenlet] = {}
        self._deadlines: dict[object, float] = {}
        # The keys of the waits that a wake-up ends, and of the waits that end when ``app_grace`` has passed.
        self.wakeable: set[object] = set()
        self.waiting_for_app: set[object] = set()
        # The time of the next check for passed deadlines, not later than the first deadline; None without deadlines.
        self._next_check: float | None = None
        # The last results of ``should_stop()`` and ``is_urgent()``.
        self.is_ending = False
        self._is_urgent = False
        self.is_app_time_over = False

    def connect(self, address: Address) -> Connection:
        """Connect to ``address``. While the connection waits, the other slots run. Raises OSError if that fails."""
        return SlotConnection(address, self, to_app=False)

    def connect_to_app(self, address: Address) -> Connection:
        """Connect to the app. Return the connection.

        When the app's time to answer is over (``app_grace`` of ``run``), the connection stops waiting for the app.
        """
        return SlotConnection(address, self, to_app=True)

    def run(self, serve: Callable[[], None], *, count: int, app_grace: float, report_grace: float) -> None:
        """Run ``serve`` in ``count`` slots. Return when all slots have returned.

        There is no time limit until ``is_urgent()`` returns True. From then on, the app has ``app_grace`` seconds to
        answer. After that, slots without an answer have ``report_grace`` seconds to report an error. Then GreenletExit
        ends the slots that have not returned. An exception in a slot is raised here.
        """
        slots = [greenlet(serve) for _ in range(count)]
        try:
            for slot in slots:
                slot.switch()
            while self._waiting and not self._is_urgent:
                self._switch_to(self._wait_for_ready(None))
            self._run_for(app_grace)
            self.is_app_time_over = True
            self._switch_to(self._take_waiting(self.waiting_for_app))
            self._run_for(report_grace)
        finally:
            for slot in slots:
                slot.throw()

    def _run_for(self, seconds: float) -> None:
        give_up = monotonic() + seconds
        while self._waiting and monotonic() < give_up:
            self._switch_to(self._wait_for_ready(give_up))

    def _switch_to(self, ready: list[tuple[greenlet, int]]) -> None:
        for slot, events in ready:
            slot.switch(events)

    def wait(self, descriptor: int, events: int, deadline: float | None, group: set[object] | None) -> int:
        """Let other slots run until ``events`` of poll() occur at ``descriptor``. Return the events that occurred.

        Return 0 if ``deadline`` passes first. ``group`` is ``self.wakeable``, ``self.waiting_for_app`` or None. If it
        is ``wakeable``, also return 0 after a wake-up. If it is ``waiting_for_app``, also return 0 when ``app_grace``,
        an argument of ``run``, is over.
        """
        watched = self._watched.get(descriptor)
        if watched != events:
            if watched is None:
                self._poller.register(descriptor, events)
            else:
                self._poller.modify(descriptor, events)
            self._watched[descriptor] = events
        return self._switch_away(descriptor, deadline, group)

    def pause(self, seconds: float) -> None:
        """Let other slots run for ``seconds``, or until the wake-up descriptor becomes readable."""
        self._switch_away(getcurrent(), monotonic() + seconds, self.wakeable)

    def forget(self, descriptor: int) -> None:
        """Stop watching a descriptor. Call this before the descriptor is closed."""
        if self._watched.pop(descriptor, None) is not None:
            self._poller.unregister(descriptor)

    def _switch_away(self, key: object, deadline: float | None, group: set[object] | None) -> int:
        """Let other slots run until the wait with ``key`` ends. Return its events, or 0 (see ``wait``)."""
        self._waiting[key] = getcurrent()
        if deadline is not None:
            self._deadlines[key] = deadline
            if self._next_check is None or deadline < self._next_check:
                self._next_check = deadline
        if group is not None:
            group.add(key)
        try:
            events: int = self._hub.switch()
        except BaseException:
            # The slot was ended while it waited. Another socket may soon have the same descriptor.
            self._waiting.pop(key, None)
            raise
        finally:
            if deadline is not None:
                del self._deadlines[key]
            if group is not None:
                group.remove(key)
        return events

    def _wait_for_ready(self, give_up: float | None) -> list[tuple[greenlet, int]]:
        """Wait until slots can continue. Return these slots with their events.

        All slots are found before any of them runs, since a slot might close a descriptor and reuse its number.
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
                # No slot waits for this connection now: the peer has disconnected, or the slot does not read yet.
                self.forget(descriptor)
        if woken:
            self.is_ending = self._should_stop()
            self._is_urgent = self._check_urgency()
            ready += self._take_waiting(self.wakeable)
        if self._next_check is not None and monotonic() >= self._next_check:
            ready += self._take_waiting(self._overdue())
        return ready

    def _timeout(self, give_up: float | None) -> float | None:
        ends = [end for end in (self._next_check, give_up) if end is not None]
        return max(0.0, min(ends) - monotonic()) * _SECOND if ends else None

    def _take_waiting(self, keys: set[object]) -> list[tuple[greenlet, int]]:
        """Remove the waits with these ``keys``. Return their slots, each with 0, which means that no event occurred."""
        return [(self._waiting.pop(key), 0) for key in keys if key in self._waiting]

    def _overdue(self) -> set[object]:
        """Return the keys of the waits whose deadline has passed, and set the time of the next check."""
        now = monotonic()
        overdue = {key for key, deadline in self._deadlines.items() if deadline <= now}
        # ``_next_check`` may be too early, because a search at each removal of a deadline would cost more.
        self._next_check = min((self._deadlines[key] for key in self._deadlines.keys() - overdue), default=None)
        return overdue


class SlotConnection(Connection):
    """A connection of one slot. While the connection waits, the other slots run."""

    __slots__ = ("_group", "_slots")

    def __init__(self, address: Address, slots: Slots, *, to_app: bool) -> None:
        self._slots = slots
        self._group = slots.waiting_for_app if to_app else None
        super().__init__(address, self._connect_socket)

    def close(self) -> None:
        """Close the socket. It may be closed already."""
        self._slots.forget(self.fileno())
        super().close()

    def wait_for_response(self, wake_up: int, should_stop: Callable[[], bool]) -> bool:
        """Wait until data arrives, and return True. Return False if ``should_stop()`` returns True before that."""
        # The wake-up may have occurred while this slot did not wait for one.
        while self._slots.is_ending or not self._slots.wait(self.fileno(), POLLIN, None, self._slots.wakeable):
            if should_stop():
                return not self.is_open()
        return True

    def _connect_socket(self, connecting: _socket.socket, address: SocketAddress, timeout: float) -> None:
        try:
            connecting.setblocking(False)
            self._finish_connecting(connecting, address, monotonic() + timeout)
            connecting.setblocking(True)
        except BaseException:
            # The caller closes the socket now, also if the slot was ended.
            self._slots.forget(connecting.fileno())
            raise

    def _finish_connecting(self, connecting: _socket.socket, address: SocketAddress, give_up: float) -> None:
        while (code := connecting.connect_ex(address)) not in _CONNECTED:
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
        if self.unsent:
            self._send_until_readable()
        self._wait(POLLIN)

    def _wait_for(self, descriptor: int, events: int, deadline: float | None) -> int:
        """Wait for ``events``, and return those that occurred. Return 0 after ``deadline`` or after ``app_grace``."""
        if self._group is not None and self._slots.is_app_time_over:
            return 0
        return self._slots.wait(descriptor, events, deadline, self._group)

    def _poll(self, events: int) -> int:
        occurred = self._wait_for(self.fileno(), events, self.deadline)
        if not occurred and self._slots.is_app_time_over:
            raise AppTimeout("the app did not answer before the environment ended")
        return occurred
