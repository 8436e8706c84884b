"""One HTTP/1.1 client connection over a blocking socket.

Blocking, since an execution environment does one thing at a time, and a blocking read is the cheapest there is. Sends
alone do not block in the kernel: a peer that answers early (413 while we still send) and reads no more must be heard.

What arrives lands in one buffer that is used again, so the pieces of a body are valid until the next receive.
"""

from __future__ import annotations

import socket
from select import POLLIN, POLLOUT, poll
from time import monotonic, time

from adapter.errors import AppTimeout
from adapter.http1 import ResponseReader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    Piece = bytes | bytearray | memoryview

# 256 KiB to 1 MiB were measured to be the best sizes for streaming into a reused buffer.
RECEIVE_SIZE = 256 * 1024
# More parts than this are joined before they are sent; the kernel takes 1,024 at most (IOV_MAX).
_MAX_PARTS = 64
# A plain number: an enum takes longer than the system call's own entry.
_DONTWAIT = int(socket.MSG_DONTWAIT)
_ANSWERED = ~POLLOUT
# How long connecting may take, in seconds: the peers are on this machine.
CONNECT_TIMEOUT = 5.0


class Address:
    """Where a server listens: ``host`` and ``port``, or a Unix socket's ``path``."""

    __slots__ = ("host", "path", "port")

    def __init__(self, *, host: str = "", port: int = 0, path: str | None = None) -> None:
        self.host = host
        self.port = port
        self.path = path

    @classmethod
    def parse(cls, text: str) -> Address:
        """The address that ``HOST:PORT`` names."""
        host, _, port = text.rpartition(":")
        return cls(host=host.strip("[]"), port=int(port))

    def __str__(self) -> str:
        if self.path is not None:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def host_header(self) -> str:
        """What a request to this address names as its Host."""
        return "localhost" if self.path is not None else str(self)

    def connect(self, timeout: float = CONNECT_TIMEOUT) -> socket.socket:
        """A connected, blocking socket. Raises OSError."""
        if self.path is not None:
            connected = socket.socket(socket.AF_UNIX)
            try:
                connected.settimeout(timeout)
                connected.connect(self.path)
            except OSError:
                connected.close()
                raise
        else:
            # A text would load the IDNA codec, 2 ms of every cold start, although nearly every host is 127.0.0.1.
            host = self.host.encode() if self.host.isascii() else self.host
            try:
                connected = socket.create_connection((host, self.port), timeout)  # type: ignore[arg-type]  # as getaddrinfo
            except UnicodeError as error:
                raise OSError(f"{self.host!r} is not a host name") from error
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connected.settimeout(None)
        return connected


class Connection:
    """A connection to ``address``, used for one exchange after the other.

    ``deadline`` is a time of the monotonic clock after which receiving and sending raise AppTimeout; None: never.
    """

    __slots__ = ("_asked_at", "_buffer", "_readable", "_socket", "_unsent", "_view", "deadline")

    def __init__(self, address: Address) -> None:
        self._socket = address.connect()
        self._readable = poll()
        self._readable.register(self._socket, POLLIN)
        self._buffer = bytearray(RECEIVE_SIZE)
        self._view = memoryview(self._buffer)
        self._asked_at = (monotonic(), time())
        self.deadline: float | None = None
        # What the peer was not ready to take: it may answer before it has read everything.
        self._unsent: list[memoryview] = []

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
        poller = poll()
        poller.register(self._socket, POLLIN | POLLOUT)
        while self._unsent and not self._poll(poller) & _ANSWERED:
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
        size = self._socket.recv_into(self._buffer)
        if size:
            return reader.feed(self._view[:size])
        reader.feed_eof()
        return []

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
            if reader.remaining > RECEIVE_SIZE:
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
        return not self._readable.poll(0)

    def _wait_readable(self) -> None:
        if self._unsent:
            self._send_until_readable()
        if self.deadline is None:
            return
        self._poll(self._readable)

    def _poll(self, poller: poll) -> int:
        """Wait for the events registered; give those of the socket. Raises AppTimeout past the deadline."""
        timeout = None if self.deadline is None else max(0.0, self.deadline - monotonic()) * 1000
        ready = poller.poll(timeout)
        if not ready:
            raise AppTimeout("the app did not answer before the deadline")
        return ready[0][1]


def _rest(parts: Sequence[Piece], sent: int) -> list[memoryview]:
    """``parts`` without their first ``sent`` bytes."""
    rest = []
    for part in parts:
        if sent < len(part):
            rest.append(memoryview(part)[sent:])
        sent = max(0, sent - len(part))
    return rest
