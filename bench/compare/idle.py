"""Measures the memory and CPU time that a proxy needs for thousands of idle streams of server-sent events."""

from __future__ import annotations

import resource
import selectors
import socket
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from compare.fakes import FakeApp
from compare.peers import MissingPeer
from compare.places import CACHE
from compare.process import PATIENCE
from compare.proxies import PROXIES, Ports, free_port, wait_for_answer
from compare.samples import Row, Sample, say, take_turns

# The time until the first event of each stream, in seconds: longer than the measurement.
_SILENCE = 3600
# The duration of the measurement of the CPU time, in seconds.
_WATCHED = 5.0
# The number of clients that connect at once, which is less than the length of a listener's queue.
_AT_ONCE = 200


@dataclass(frozen=True, kw_only=True)
class IdleRow:
    """A row with ``streams`` open streams."""

    name: str
    title: str
    streams: int
    subjects: tuple[str, ...]


IDLE_ROWS = (
    IdleRow(
        name="sse-idle",
        title="9,000 idle streams of server-sent events",
        streams=9000,
        subjects=("adapter", "nginx", "haproxy", "caddy"),
    ),
)


class Candidate:
    """A proxy. It is started again for each sample, because its memory is measured."""

    def __init__(self, name: str, row: IdleRow) -> None:
        self.name = name
        self._row = row

    def sample(self) -> Sample:
        """Open all streams, and measure the idle proxy."""
        with ExitStack() as stack:
            folder = Path(stack.enter_context(TemporaryDirectory(dir=CACHE)))
            app = stack.enter_context(FakeApp())
            # Two connections for each stream, and a reserve.
            connections = 2 * self._row.streams + 100
            ports = Ports(listen=free_port(), app=app.port, folder=folder, connections=connections)
            process = stack.enter_context(PROXIES[self.name](ports))
            wait_for_answer(ports.listen, process)
            before = process.memory()
            for _ in range(0, self._row.streams, _AT_ONCE):
                _open_streams(ports.listen, _AT_ONCE, stack)
            after = process.memory()
            cpu, began = process.cpu_ns(), time.monotonic_ns()
            time.sleep(_WATCHED)
            cpu, took = process.cpu_ns() - cpu, time.monotonic_ns() - began
            return {
                "all_memory_mb": after / 1e6,
                "stream_memory_kb": (after - before) / self._row.streams / 1e3,
                "core_percent": cpu / took * 100,
            }


def _open_streams(port: int, count: int, stack: ExitStack) -> None:
    """Open ``count`` streams until ``stack`` ends. Return once all of them have begun. Raises RuntimeError."""
    request = f"GET /events/1/{_SILENCE * 1_000_000} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    with selectors.DefaultSelector() as waiting:
        for _ in range(count):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE))
            client.sendall(request)
            waiting.register(client, selectors.EVENT_READ)
        while waiting.get_map():
            ready = waiting.select(PATIENCE)
            if not ready:
                raise RuntimeError(f"{len(waiting.get_map())} of {count} streams have not begun")
            for key, _ in ready:
                stream = key.fileobj
                assert isinstance(stream, socket.socket)
                head = stream.recv(4096)
                if b" 200 " not in head:
                    raise RuntimeError(f"the stream began with {head[:40]!r}")
                waiting.unregister(stream)


def measure(row: IdleRow, *, rounds: int) -> Row:
    """Measure ``row``, and return its samples."""
    say(f"{row.name}: {row.title}")
    # This process has the descriptors of the clients. A proxy needs twice as many.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    missing: dict[str, str] = {}
    candidates: list[Candidate] = []
    for name in row.subjects:
        candidate = Candidate(name, row)
        try:
            # This also shows whether the proxy is installed, and whether it can have this number of streams.
            candidate.sample()
        except (MissingPeer, RuntimeError, OSError) as error:
            missing[name] = str(error)
            say(f"  {name} is missing: {error}")
        else:
            candidates.append(candidate)
    samples = take_turns(candidates, rounds)
    return Row(name=row.name, title=row.title, samples=samples, missing=missing)
