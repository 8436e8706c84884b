"""Measure the cost of the inspector of ``adapter dev``: time of each request, time of the start, memory with streams.

    python bench/inspector.py cost [ROUNDS]      requests of 1 KB, alternately with and without the inspector
    python bench/inspector.py start [ROUNDS]     the time until the first answer, alternately with and without it
    python bench/inspector.py memory [STREAMS]   streams of 10 MB, 20 at once

``cost`` shows the requests a second of one client, and the processor time of ``adapter dev`` itself for each request.
The figures are medians of the rounds, and medians of the ratios within a round. ``memory`` shows the resident memory of
``adapter dev`` before, during and after the streams. The exit code of ``cost`` and ``start`` is 1 if the inspector
costs more than 3 %.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from statistics import median

REPOSITORY = Path(__file__).resolve().parent.parent
APP = REPOSITORY / "tests" / "e2e" / "sized_app.py"
PATIENCE = 600.0
_REQUESTS, _WARM_UP = 200, 300
# The maximum cost of the inspector, as a share.
LIMIT = 0.03
_STREAMS, _AT_ONCE, _SIZE = 1000, 20, 10 * 1024 * 1024
_START = "import sys; sys.path.insert(0, sys.argv.pop(1)); from adapter.__main__ import main; sys.exit(main())"
_URL = re.compile(r"a function URL at http://127\.0\.0\.1:(\d+)/")


class Dev:
    """A running ``adapter dev`` of the checkout in ``folder``."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        self.process = process
        found = next(filter(None, map(_URL.search, process.stderr)))
        self.port = int(found[1])
        threading.Thread(target=process.stderr.read, daemon=True).start()

    def connect(self) -> closing[HTTPConnection]:
        return closing(HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE))

    def processor_time(self) -> float:
        """Return the processor time that the process itself has used, in seconds."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> float:
        """Return the resident memory in MB."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(text.partition("VmRSS:")[2].split()[0]) / 1024


@contextmanager
def dev(folder: Path, *flags: str) -> Iterator[Dev]:
    command = [sys.executable, "-I", "-c", _START, str(folder), "dev", "--port", "0", "--no-access-log", *flags]
    with subprocess.Popen(
        [*command, "--", sys.executable, str(APP), "{port}"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Dev(process)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(PATIENCE)


def ask(connection: HTTPConnection, path: str) -> int:
    connection.request("GET", path)
    response = connection.getresponse()
    size = 0
    while piece := response.read(65536):
        size += len(piece)
    return size


def measure_cost(rounds: int) -> bool:
    """Print the cost of the inspector. Return whether the processor time of ``adapter dev`` grows by at most LIMIT."""
    names = ("without", "with")
    rates: dict[str, list[float]] = {name: [] for name in names}
    times: dict[str, list[float]] = {name: [] for name in names}
    with dev(REPOSITORY, "--no-inspector") as without, dev(REPOSITORY) as inspected:
        running = dict(zip(names, (without, inspected), strict=True))
        with without.connect() as one, inspected.connect() as other:
            clients = dict(zip(names, (one, other), strict=True))
            for client in clients.values():
                for _ in range(_WARM_UP):
                    ask(client, "/text/1024/0")
            for number in range(rounds):
                # The order alternates, so that a drift of the machine's speed affects both equally.
                for name in names if number % 2 else reversed(names):
                    used, began = running[name].processor_time(), time.monotonic()
                    for _ in range(_REQUESTS):
                        ask(clients[name], "/text/1024/0")
                    rates[name].append(_REQUESTS / (time.monotonic() - began))
                    times[name].append((running[name].processor_time() - used) / _REQUESTS * 1e6)
    for name in names:
        print_line(f"{name:8} {median(rates[name]):6.0f} requests/s, {median(times[name]):5.0f} µs of dev each")
    rate = median(ours / theirs for theirs, ours in zip(*rates.values(), strict=True))
    cost = median(ours / theirs for theirs, ours in zip(*times.values(), strict=True))
    print_line(f"with the inspector: {(1 - rate) * 100:+.1f} % fewer requests/s, {(cost - 1) * 100:+.1f} % time of dev")
    return bool(rate >= 1 - LIMIT)


def measure_start(rounds: int) -> bool:
    """Print the time from the start of ``adapter dev`` to its first answer, with and without the inspector."""
    found: dict[str, list[float]] = {"without": [], "with": []}
    for number in range(rounds):
        for name in found if number % 2 else reversed(found):
            began = time.monotonic()
            with dev(REPOSITORY, *(["--no-inspector"] if name == "without" else [])) as local:
                with local.connect() as connection:
                    ask(connection, "/text/1024/0")
                found[name].append(time.monotonic() - began)
    for name, seconds in found.items():
        print_line(
            f"{name:8} first answer after {median(seconds) * 1000:4.0f} ms, at best {min(seconds) * 1000:4.0f} ms"
        )
    more = median(ours / theirs for theirs, ours in zip(*found.values(), strict=True)) - 1
    print_line(f"with the inspector: {more * 100:+.1f} %")
    return bool(more <= LIMIT)


def measure_memory(streams: int) -> None:
    with dev(REPOSITORY, "--bandwidth", "unlimited", "--environments", "4") as local:
        with local.connect() as connection:
            ask(connection, "/text/10/0")
        before, most = local.memory(), 0.0
        numbers = iter(range(streams))
        lock = threading.Lock()

        def client() -> None:
            while True:
                with lock:
                    if next(numbers, None) is None:
                        return
                with local.connect() as connection:
                    assert ask(connection, f"/text/{_SIZE}/0") == _SIZE

        threads = [threading.Thread(target=client) for _ in range(_AT_ONCE)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            most = max(most, local.memory())
            time.sleep(0.2)
        sys.stdout.write(
            f"{streams} streams of {_SIZE >> 20} MB, {_AT_ONCE} at once: "
            f"{before:.0f} MB before, at most {most:.0f} MB, {local.memory():.0f} MB after\n"
        )


def print_line(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def main() -> int:
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("cost", "start", "memory"))
    parser.add_argument("count", type=int, nargs="?", help="rounds (cost: 30, start: 10) or streams (1,000)")
    given = parser.parse_args()
    if given.what == "memory":
        measure_memory(given.count or _STREAMS)
        return 0
    measure, rounds = {"cost": (measure_cost, 30), "start": (measure_start, 10)}[given.what]
    return 0 if measure(given.count or rounds) else 1


if __name__ == "__main__":
    sys.exit(main())
