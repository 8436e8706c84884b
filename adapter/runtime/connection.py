"""One HTTP/1.1 client connection over a blocking socket.

Receiving is a blocking call: an execution environment does one thing at a time, and a blocking read is the fastest.
The system call for sending never blocks: a server may answer early (413, for example) and stop reading, and the answer
must then be received. ``slots.py`` overrides only how a connection waits.

Every receive stores its bytes in the same buffer, so the pieces of a body are valid only until the next receive.
"""

from __future__ import annotations

# The module beneath `socket`. Importing `socket` adds 2 ms to every cold start, for enums and selectors.
import _socket
from select import POLLIN, POLLOUT, poll
from time import monotonic, time

from adapter.errors import AppTimeout, TruncatedResponse
from adapter.net.http1 import ResponseReader
from adapter.runtime.wakeup import run_signal_handlers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Final

    from adapter.net.address import Address
    from adapter.payload.messages import ResponseHead

    Piece = bytes | bytearray | memoryview
    # The address of a socket: a tuple, or the path of a Unix socket.
    SocketAddress = tuple[object, ...] | str
    # Connects a socket within a number of seconds and leaves it blocking. Raises OSError.
    ConnectSocket = Callable[[_socket.socket, SocketAddress, float], None]

# Measured: the best sizes of a reused buffer for streams are 256 KiB to 1 MiB. The first buffer is smaller, to save
# memory: most connections receive less than that, and each slot has two connections.
RECEIVE_SIZE: Final = 256 * 1024
_FIRST_RECEIVE_SIZE: Final = 16 * 1024
# More parts than this are joined before they are sent; the kernel accepts at most 1,024 (IOV_MAX).
_MAX_PARTS: Final = 64
_DONTWAIT: Final = _socket.MSG_DONTWAIT
_ANSWERED: Final = ~POLLOUT
# This option, set before connecting, makes the kernel send the last packet of the handshake together with the first
# data. So a server never sees a connection without a request; some servers close such a connection at once (hypercorn
# --keep-alive 0). Linux only.
_DEFER_ACCEPT: Final = getattr(_socket, "TCP_DEFER_ACCEPT", None)
# The time limit of connecting, in seconds. The servers are on this machine.
CONNECT_TIMEOUT = 5.0


def _connect_blocking(connecting: _socket.socket, address: SocketAddress, timeout: float) -> None:
    connecting.settimeout(timeout)
    connecting.connect(address)
    connecting.settimeout(None)


class Connection:
    """A connection to ``address`` for one exchange after another. ``connect_socket`` connects its socket.

    After ``deadline``, a time of the monotonic clock, receiving and sending raise AppTimeout; None means no deadline.
    """

    __slots__ = ("_last_sent", "_poller", "_readable_or_woken", "_socket", "_view", "deadline", "unsent")

    def __init__(self, address: Address, connect_socket: ConnectSocket = _connect_blocking) -> None:
        self._socket = connect(address, CONNECT_TIMEOUT, connect_socket)
        self._poller = poll()
        self._poller.register(self._socket, POLLIN)
        self._readable_or_woken: poll | None = None
        self._view = memoryview(bytearray(_FIRST_RECEIVE_SIZE))
        self._last_sent = (monotonic(), time())
        self.deadline: float | None = None
        # Data that is not sent yet. If the server answers before it has read all data, the connection cannot be reused.
        self.unsent: list[memoryview] = []

    def fileno(self) -> int:
        """Return the socket's descriptor, for poll()."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close the socket. It may be closed already."""
        self._socket.close()

    def send(self, parts: Sequence[Piece]) -> bool:
        """Send ``parts``. Return False if the server answered or disconnected before all of them were sent.

        In this case, the next calls of ``receive`` send the unsent data, since the server may still read it. Raises
        OSError if nothing could be sent, and AppTimeout after the deadline.
        """
        self._last_sent = (monotonic(), time())
        if len(parts) > _MAX_PARTS:
            parts = (b"".join(parts),)
        total = size_of(parts)
        try:
            sent = self._socket.sendmsg(parts, (), _DONTWAIT)
        except BlockingIOError:
            sent = 0
        if sent < total:
            self.unsent = _rest(parts, sent)
            self._send_until_readable()
        return not self.unsent

    def _send_until_readable(self) -> None:
        """Send the unsent data. Return early if there is data to receive, or if the server has disconnected."""
        while self.unsent and not self._wait(POLLIN | POLLOUT) & _ANSWERED:
            try:
                sent = self._socket.send(self.unsent[0], _DONTWAIT)
            except BlockingIOError:
                continue
            except (BrokenPipeError, ConnectionResetError):
                # The answer that the server sent before it disconnected can still be received.
                return
            self.unsent = _rest(self.unsent, sent)

    def receive_response(self, method: str) -> Response:
        """Receive the head of the response to a request with ``method``. Raises the errors of ``receive``."""
        return self.receive_head(ResponseReader(method))

    def receive_head(self, reader: ResponseReader) -> Response:
        """Receive the head of a response with ``reader``, which must be new. Raises the errors of ``receive``."""
        while True:
            pieces = self.receive(reader)
            if reader.head is not None:
                return Response(self, reader, reader.head, pieces)

    def receive(self, reader: ResponseReader) -> list[memoryview]:
        """Receive once, and pass the data to ``reader``. Return the received pieces of the body, perhaps none.

        Raises AppTimeout after the deadline, OSError if the connection breaks, TruncatedResponse if the server closes
        the connection before the response is complete, and InvalidAppResponse if the response is malformed.
        """
        self._wait_readable()
        view = self._view
        size = self._socket.recv_into(view)
        if not size:
            reader.feed_eof()
            return []
        if size == _FIRST_RECEIVE_SIZE == len(view):
            # The buffer is full, so there is probably more data. The received data stays valid in the old buffer.
            self._view = memoryview(bytearray(RECEIVE_SIZE))
        return reader.feed(view[:size])

    def receive_rest(self, start: bytearray, reader: ResponseReader) -> bytearray:
        """Receive the rest of a body of known length. Return the whole body, which begins with ``start``."""
        position = len(start)
        # Allocated at full size: growing a large buffer would copy it and touch its pages twice.
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

    def is_usable(self, idle_timeout: float) -> bool:
        """Return whether the connection was used less than ``idle_timeout`` seconds ago and is still open.

        The time counts from the last send, since the server may have answered long before its response was read. The
        wall clock is checked as well: the monotonic clock may stand still while an environment is frozen.
        """
        since, wall_since = self._last_sent
        if monotonic() - since >= idle_timeout or not 0 <= time() - wall_since < idle_timeout:
            return False
        return self.is_open()

    def is_open(self) -> bool:
        """Return True if the server has neither disconnected nor sent data.

        Call this only between exchanges, when the server has no reason to send data.
        """
        # A FIN or a reset also makes the socket readable. poll() is four times as fast as recv() with MSG_PEEK.
        return not self._poller.poll(0)

    def wait_for_response(self, wake_up: int, should_stop: Callable[[], bool]) -> bool:
        """Wait until data arrives, and return True. Return False if ``should_stop()`` returns True before that.

        ``should_stop`` is called when the descriptor ``wake_up`` becomes readable. Pass the same descriptor every time.
        """
        if self._readable_or_woken is None:
            self._readable_or_woken = poll()
            self._readable_or_woken.register(self._socket, POLLIN)
            self._readable_or_woken.register(wake_up, POLLIN)
        while True:
            for descriptor, _ in self._readable_or_woken.poll():
                if descriptor != wake_up:
                    return True
            if should_stop():
                return False

    def _wait_readable(self) -> None:
        if self.unsent:
            self._send_until_readable()
        if self.deadline is None:
            # The blocking read itself waits.
            run_signal_handlers()
            return
        self._wait(POLLIN)

    def _wait(self, events: int) -> int:
        """Wait for ``events`` of poll(), and return those that occurred. Raises AppTimeout after the deadline."""
        occurred = self._poll(events)
        if not occurred:
            raise AppTimeout("the app did not answer before the deadline")
        return occurred

    def _poll(self, events: int) -> int:
        """Wait for ``events`` of poll(), and return those that occurred. Return 0 after the deadline."""
        run_signal_handlers()
        timeout = None if self.deadline is None else max(0.0, self.deadline - monotonic()) * 1000
        self._poller.modify(self._socket, events)
        ready = self._poller.poll(timeout)
        self._poller.modify(self._socket, POLLIN)
        return ready[0][1] if ready else 0


class Response:
    """A response that is being received: its head, and the pieces of the body that arrived with the head.

    ``pieces`` are valid until the next ``receive``. ``complete`` is True if the whole body was received.
    """

    __slots__ = ("_reader", "complete", "connection", "head", "pieces")

    def __init__(
        self, connection: Connection, reader: ResponseReader, head: ResponseHead, pieces: list[memoryview]
    ) -> None:
        self.connection = connection
        self._reader = reader
        self.head = head
        self.pieces = pieces
        self.complete = reader.complete

    @property
    def has_reusable_connection(self) -> bool:
        """Whether the connection can be used for another exchange."""
        return self.complete and self._reader.reusable and not self.connection.unsent

    def receive(self) -> list[memoryview]:
        """Receive once, and return the received pieces of the body, perhaps none.

        Raises TruncatedResponse if the connection ends before the body does, InvalidAppResponse if the body is
        malformed, and AppTimeout after the connection's deadline.
        """
        try:
            pieces = self.connection.receive(self._reader)
        except OSError as error:
            raise _truncated(error) from error
        self.complete = self._reader.complete
        return pieces

    def read(self, limit: int) -> bytearray | None:
        """Return the whole body. Return None if it exceeds ``limit`` bytes. Raises as ``receive`` does."""
        reader = self._reader
        body = bytearray(self.pieces[0]) if len(self.pieces) == 1 else bytearray().join(self.pieces)
        try:
            while not reader.complete:
                expected = len(body) + reader.remaining
                if expected > limit:
                    return None
                if reader.remaining > _FIRST_RECEIVE_SIZE:
                    body = self.connection.receive_rest(body, reader)
                else:
                    body += b"".join(self.connection.receive(reader))
        except OSError as error:
            raise _truncated(error) from error
        self.complete = True
        return None if len(body) > limit else body


def size_of(parts: Sequence[Piece]) -> int:
    """Return the total number of bytes in ``parts``.

    After compilation, this loop is three times as fast as ``sum(map(len, parts))``.
    """
    size = 0
    for part in parts:
        size += len(part)
    return size


def _truncated(error: OSError) -> TruncatedResponse:
    return TruncatedResponse(f"the connection broke during the response: {error}")


def connect(address: Address, timeout: float, connect_socket: ConnectSocket = _connect_blocking) -> _socket.socket:
    """Connect a new blocking socket to ``address`` and return it.

    ``connect_socket`` connects the socket within ``timeout`` seconds. Raises OSError if that fails.
    """
    if address.path is not None:
        return _connected(_socket.AF_UNIX, address.path, timeout, connect_socket)
    failure = OSError(f"{address.host!r} has no address")
    for family, socket_address in _resolved(address):
        try:
            return _connected(family, socket_address, timeout, connect_socket)
        except OSError as error:
            failure = error
    try:
        raise failure
    finally:
        # Break the reference cycle: the error's traceback refers to this frame, and the frame refers to the error.
        del failure


def _resolved(address: Address) -> Iterable[tuple[int, tuple[object, ...]]]:
    """Look up the host. Return each of its addresses as a family and a socket address.

    Raises OSError if the host is not found.
    """
    # Skip the look-up: nearly every host is 127.0.0.1, and a starting app is probed a hundred times.
    if address.host.isascii() and address.host.replace(".", "").isdigit():
        return [(_socket.AF_INET, (address.host, address.port))]
    # A str would load the IDNA codec, which takes another 2 ms.
    host = address.host.encode() if address.host.isascii() else address.host
    try:
        found = _socket.getaddrinfo(host, address.port, 0, _socket.SOCK_STREAM)
    except UnicodeError as error:
        raise OSError(f"{address.host!r} is not a host name") from error
    return [(family, socket_address) for family, _, _, _, socket_address in found]


def _connected(family: int, address: SocketAddress, timeout: float, connect_socket: ConnectSocket) -> _socket.socket:
    """Connect a new blocking socket to ``address``, and return it.

    Raises OSError if the socket is not connected within ``timeout`` seconds.
    """
    connected = _socket.socket(family)
    try:
        # Set this before connecting: ``connect_socket`` keeps a state, which would remain if this failed afterwards.
        if family != _socket.AF_UNIX:
            connected.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
            if _DEFER_ACCEPT is not None:
                connected.setsockopt(_socket.IPPROTO_TCP, _DEFER_ACCEPT, 1)
        connect_socket(connected, address, timeout)
    except BaseException:
        connected.close()
        raise
    return connected


def _rest(parts: Sequence[Piece], sent: int) -> list[memoryview]:
    """Return ``parts`` without their first ``sent`` bytes."""
    rest = []
    for part in parts:
        if sent < len(part):
            rest.append(memoryview(part)[sent:])
        sent = max(0, sent - len(part))
    return rest
