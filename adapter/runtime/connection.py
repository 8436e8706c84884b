"""One HTTP/1.1 client connection over a blocking socket.

Blocking, since an execution environment does one thing at a time, and a blocking read is the cheapest there is. Sends
alone do not block in the kernel: a peer that answers early (413 while we still send) and reads no more must be heard.
Whoever has to do many things at once overrides how a connection waits, and nothing else (slots.py).

What arrives lands in one buffer that is used again, so the pieces of a body are valid until the next receive.
"""

from __future__ import annotations

# The module beneath `socket`, which would take 2 ms of every cold start for enums and selectors.
import _socket
from select import POLLIN, POLLOUT, poll
from time import monotonic, time

from adapter.errors import AppTimeout
from adapter.net.http1 import ResponseReader
from adapter.runtime.wakeup import run_handlers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from adapter.net.address import Address

    Piece = bytes | bytearray | memoryview
    # A socket's address: of a Unix socket the path.
    Place = tuple[object, ...] | str
    # Connects a socket to a place within some seconds and leaves it blocking, or raises OSError.
    Reach = Callable[[_socket.socket, Place, float], None]

# 256 KiB to 1 MiB were measured to be the best sizes for streaming into a reused buffer. It begins smaller, since most
# connections never carry as much and every byte of it is memory in use, twice for each slot.
RECEIVE_SIZE = 256 * 1024
_FIRST_RECEIVE_SIZE = 16 * 1024
# More parts than this are joined before they are sent; the kernel takes 1,024 at most (IOV_MAX).
_MAX_PARTS = 64
_DONTWAIT = _socket.MSG_DONTWAIT
_ANSWERED = ~POLLOUT
# How long connecting may take, in seconds: the peers are on this machine.
CONNECT_TIMEOUT = 5.0


def _reach(connecting: _socket.socket, place: Place, timeout: float) -> None:
    connecting.settimeout(timeout)
    connecting.connect(place)
    connecting.settimeout(None)


class Connection:
    """A connection to ``address``, used for one exchange after the other.

    ``deadline`` is a time of the monotonic clock after which receiving and sending raise AppTimeout; None: never.
    """

    __slots__ = ("_asked_at", "_poller", "_readable_or_woken", "_socket", "_unsent", "_view", "deadline")

    def __init__(self, address: Address) -> None:
        self._socket = self._connect(address)
        self._poller = poll()
        self._poller.register(self._socket, POLLIN)
        self._readable_or_woken: poll | None = None
        self._view = memoryview(bytearray(_FIRST_RECEIVE_SIZE))
        self._asked_at = (monotonic(), time())
        self.deadline: float | None = None
        # What the peer was not ready to take: it may answer before it has read everything.
        self._unsent: list[memoryview] = []

    def _connect(self, address: Address) -> _socket.socket:
        return connect(address)

    def fileno(self) -> int:
        """For poll()."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close the socket; more than once is fine."""
        self._socket.close()

    def send(self, parts: Sequence[Piece]) -> bool:
        """Send ``parts`` one after the other; False when the peer answered or hung up before it had taken them all.

        What was not taken then goes on in ``receive``, since an app may answer while it still reads. Raises OSError
        when the peer has taken nothing of it, AppTimeout past the deadline.
        """
        self._asked_at = (monotonic(), time())
        if len(parts) > _MAX_PARTS:
            parts = (b"".join(parts),)
        total = sum(map(len, parts))
        try:
            sent = self._socket.sendmsg(parts, (), _DONTWAIT)
        except BlockingIOError:
            sent = 0
        if sent < total:
            self._unsent = _rest(parts, sent)
            self._send_until_readable()
        return self.is_whole

    @property
    def is_whole(self) -> bool:
        """Whether everything was sent that was to be sent; if not, no other exchange can follow."""
        return not self._unsent

    def _send_until_readable(self) -> None:
        """Send what is left, until that is done or there is something to receive, the peer's hanging up included."""
        while self._unsent and not self._wait(POLLIN | POLLOUT) & _ANSWERED:
            try:
                sent = self._socket.send(self._unsent[0], _DONTWAIT)
            except BlockingIOError:
                continue
            except (BrokenPipeError, ConnectionResetError):
                # What the peer said before it hung up can still be read.
                return
            self._unsent = _rest(self._unsent, sent)

    def receive(self, reader: ResponseReader) -> list[memoryview]:
        """Receive once and give what ``reader`` makes of it: pieces of the body, perhaps none.

        Raises OSError, InvalidAppResponse, TruncatedResponse, and AppTimeout past the deadline.
        """
        self._wait_readable()
        view = self._view
        size = self._socket.recv_into(view)
        if not size:
            reader.feed_eof()
            return []
        if size == _FIRST_RECEIVE_SIZE == len(view):
            # There is more, it seems. What was received stays valid where it is.
            self._view = memoryview(bytearray(RECEIVE_SIZE))
        return reader.feed(view[:size])

    def receive_head(self, reader: ResponseReader) -> list[memoryview]:
        """Receive until the response head is complete; give the pieces of the body that came with it."""
        while True:
            pieces = self.receive(reader)
            if reader.head is not None:
                return pieces

    def receive_body(self, reader: ResponseReader, pieces: list[memoryview], limit: int | None) -> bytearray | None:
        """The whole body, of which ``pieces`` came with the head; None as soon as it is known to exceed ``limit``."""
        body = bytearray().join(pieces)
        while not reader.complete:
            expected = len(body) + reader.remaining
            if limit is not None and expected > limit:
                return None
            if reader.remaining > _FIRST_RECEIVE_SIZE:
                body = self._received_rest(body, reader)
            else:
                body += b"".join(self.receive(reader))
        return None if limit is not None and len(body) > limit else body

    def _received_rest(self, start: bytearray, reader: ResponseReader) -> bytearray:
        """The whole body of known length that begins with ``start``; the rest goes straight into its place."""
        position = len(start)
        # Made in its full size at once: growing a large buffer copies it and touches its pages twice.
        body = bytearray(position + reader.remaining)
        body[:position] = start
        with memoryview(body) as view:
            while reader.remaining:
                self._wait_readable()
                size = self._socket.recv_into(view[position:])
                if not size:
                    reader.feed_eof()
                reader.skip(size)
                position += size
        return body

    def begin_idle(self) -> None:
        """Note that an exchange ended and none has begun."""
        self.deadline = None

    def is_usable(self, idle_timeout: float) -> bool:
        """Whether another exchange may begin: idle for less than ``idle_timeout`` seconds, and not closed by the peer.

        Reckoned from the last send, since nobody knows when the peer was done: it may have been long before its
        response was read. Two clocks, since the monotonic one may stand still while an environment is frozen.
        """
        since, wall_since = self._asked_at
        if monotonic() - since >= idle_timeout or not 0 <= time() - wall_since < idle_timeout:
            return False
        return self.is_open()

    def is_open(self) -> bool:
        """Whether the peer, which owes nothing, has neither closed nor sent anything."""
        # Readable is also a FIN or a reset. Asking poll costs a quarter of a peek, which raises where nothing came.
        return not self._poller.poll(0)

    def readable_or_stopped(self, wake_up: int, stopped: Callable[[], bool]) -> bool:
        """Wait until there is something to receive (True) or, woken up, ``stopped()`` and there is nothing (False).

        ``wake_up`` is a descriptor that becomes readable when ``stopped`` must be asked, the same in every call.
        """
        if self._readable_or_woken is None:
            self._readable_or_woken = poll()
            self._readable_or_woken.register(self._socket, POLLIN)
            self._readable_or_woken.register(wake_up, POLLIN)
        while True:
            for descriptor, _ in self._readable_or_woken.poll():
                if descriptor != wake_up:
                    return True
            if stopped():
                return False

    def _wait_readable(self) -> None:
        if self._unsent:
            self._send_until_readable()
        if self.deadline is None:
            # The read itself waits.
            run_handlers()
            return
        self._wait(POLLIN)

    def _wait(self, events: int) -> int:
        """Wait for one of ``events`` of poll() and give those that came. Raises AppTimeout past the deadline."""
        came = self._poll(events)
        if not came:
            raise AppTimeout("the app did not answer before the deadline")
        return came

    def _poll(self, events: int) -> int:
        """The same; 0 past the deadline."""
        run_handlers()
        timeout = None if self.deadline is None else max(0.0, self.deadline - monotonic()) * 1000
        self._poller.modify(self._socket, events)
        ready = self._poller.poll(timeout)
        self._poller.modify(self._socket, POLLIN)
        return ready[0][1] if ready else 0


def connect(address: Address, timeout: float = CONNECT_TIMEOUT, reach: Reach = _reach) -> _socket.socket:
    """Return a blocking socket that is connected to ``address``.

    ``reach`` connects a socket within ``timeout`` seconds. Raises OSError.
    """
    if address.path is not None:
        return _connected(_socket.AF_UNIX, address.path, timeout, reach)
    failure = OSError(f"{address.host!r} has no address")
    for family, place in _resolved(address):
        try:
            return _connected(family, place, timeout, reach)
        except OSError as error:
            failure = error
    try:
        raise failure
    finally:
        # The error's traceback refers to this frame, and the frame to the error: break the circle.
        del failure


def _resolved(address: Address) -> Iterable[tuple[int, tuple[object, ...]]]:
    """Return the family and the socket address of each address of the host. Raises OSError."""
    # Nearly every host is 127.0.0.1, and a starting app is probed a hundred times: skip the look-up.
    if address.host.isascii() and address.host.replace(".", "").isdigit():
        return [(_socket.AF_INET, (address.host, address.port))]
    # A str would load the IDNA codec, which takes another 2 ms.
    host = address.host.encode() if address.host.isascii() else address.host
    try:
        found = _socket.getaddrinfo(host, address.port, 0, _socket.SOCK_STREAM)
    except UnicodeError as error:
        raise OSError(f"{address.host!r} is not a host name") from error
    return [(family, place) for family, _, _, _, place in found]


def _connected(family: int, place: Place, timeout: float, reach: Reach) -> _socket.socket:
    """A blocking socket that is connected to ``place`` within ``timeout`` seconds. Raises OSError."""
    connected = _socket.socket(family)
    try:
        # Before it is connected: what fails afterwards would leave behind what ``reach`` noted of it.
        if family != _socket.AF_UNIX:
            connected.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
        reach(connected, place, timeout)
    except BaseException:
        connected.close()
        raise
    return connected


def _rest(parts: Sequence[Piece], sent: int) -> list[memoryview]:
    """``parts`` without their first ``sent`` bytes."""
    rest = []
    for part in parts:
        if sent < len(part):
            rest.append(memoryview(part)[sent:])
        sent = max(0, sent - len(part))
    return rest
