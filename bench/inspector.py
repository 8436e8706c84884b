"""What the records of ``adapter dev`` cost: time for each request, and memory under many streams.

    python bench/inspector.py cost OTHER    requests of 1 KB, this checkout and OTHER by turns
    python bench/inspector.py memory [N]    N (1,000) streams of 10 MB, 20 at once

``cost`` shows requests a second of one client, and the processor time of ``adapter dev`` itself for each request; the
medians of the rounds count. ``memory`` shows the resident memory of ``adapter dev`` before, during and after.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from statistics import median

REPOSITORY = Path(__file__).resolve().parent.parent
APP = REPOSITORY / "tests" / "e2e" / "sized_app.py"
PATIENCE = 600.0
_ROUNDS, _REQUESTS, _WARM_UP = 11, 300, 100
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
        """The seconds of processor time that the process itself has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> float:
        """The resident memory in MB."""
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


def measure_cost(other: Path) -> None:
    names = {"this checkout": REPOSITORY, "the other": other}
    rates: dict[str, list[float]] = {name: [] for name in names}
    times: dict[str, list[float]] = {name: [] for name in names}
    with dev(REPOSITORY) as ours, dev(other) as theirs:
        for local in (ours, theirs):
            with local.connect() as connection:
                for _ in range(_WARM_UP):
                    ask(connection, "/text/1024/0")
        for _ in range(_ROUNDS):
            for name, local in zip(names, (ours, theirs), strict=True):
                with local.connect() as connection:
                    used, began = local.processor_time(), time.monotonic()
                    for _ in range(_REQUESTS):
                        ask(connection, "/text/1024/0")
                    rates[name].append(_REQUESTS / (time.monotonic() - began))
                    times[name].append((local.processor_time() - used) / _REQUESTS * 1e6)
    for name in names:
        sys.stdout.write(
            f"{name:14} {median(rates[name]):6.0f} requests/s, {median(times[name]):5.0f} µs of dev each\n"
        )
    pairs = [ours / theirs for ours, theirs in zip(*rates.values(), strict=True)]
    sys.stdout.write(f"requests/s of this checkout: {median(pairs):.3f} of the other's\n")


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


if __name__ == "__main__":
    if sys.argv[1:2] == ["memory"]:
        measure_memory(int(sys.argv[2]) if sys.argv[2:] else _STREAMS)
    else:
        measure_cost(Path(sys.argv[2]))
