"""Invocations a second of ``adapter dev`` and of the official emulator, the same function in both, in the same run.

    python bench/emulator.py [ROUNDS]

Both are asked for 1 KB by the Invoke API: first of ``adapter run`` in front of a small app, then of a runtime that does
nothing but echo, which leaves the emulators alone to be measured. The official emulator serves one invocation at a
time, so that it has one client; the local Lambda has one client and one environment, then 20 clients and 4
environments. They take turns, 1,000 invocations each, and the medians count. The processor time is the emulator's own;
that of the runtime, the same on both sides, comes on top. Then what an idle ``adapter dev`` has in memory, and how soon
it answers once its app is ready.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, closing
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from compare.adapters import LAMBDA_VARIABLES  # noqa: E402  (what is above lets it find the tests' samples)
from compare.builds import program  # noqa: E402
from compare.events import function_url_event  # noqa: E402
from compare.fakes import Load  # noqa: E402
from compare.peers import PEERS  # noqa: E402
from compare.places import CACHE  # noqa: E402
from compare.process import Process  # noqa: E402
from compare.proxies import free_port, wait_for_port  # noqa: E402

ADAPTER = [sys.executable, "-I", "-m", "adapter"]
PATIENCE = 30.0
_COUNT = 1000
_WARM_UP = 300
_PATH = "/2015-03-31/functions/function/invocations"


class Candidate:
    """One emulator at work, asked by ``clients``, until ``stack`` ends. ``rates`` are per second, ``cpu`` is in µs."""

    def __init__(self, name: str, process: Process, port: int, clients: int, stack: ExitStack) -> None:
        self.name = name
        self.rates: list[float] = []
        self.cpu: list[float] = []
        self._process = stack.enter_context(process)
        wait_for_port(port, process)
        folder = Path(stack.enter_context(TemporaryDirectory(dir=CACHE)))
        event = folder / "event.json"
        event.write_bytes(function_url_event("/text/1024"))
        self._load = stack.enter_context(Load(port, clients=clients, path=_PATH, body=event))
        # The first ones have the environments made.
        self._load.run(clients, process)
        self._load.run(_WARM_UP, process)

    def sample(self) -> None:
        """Send invocations, and note what they took."""
        before = self._process.own_cpu_ns()
        measured = self._load.run(_COUNT, self._process)
        self.cpu.append((self._process.own_cpu_ns() - before) / _COUNT / 1000)
        self.rates.append(_COUNT / measured["wall_ns"] * 1e9)

    @property
    def rate(self) -> float:
        """The median of the rates."""
        return median(self.rates)


def ours(port: int, environments: int, function: list[str]) -> Process:
    """``adapter dev`` whose Invoke APIs are on ``port``; in the mode that is the runtime's own default elsewhere."""
    flags = ["--port", str(free_port()), "--invoke-port", str(port), "--environments", str(environments)]
    command = [*ADAPTER, "dev", *flags, "--invoke-mode", "buffered", *function]
    return Process(command, log=CACHE / "emulator-adapter.log", directory=CACHE)


def official(port: int, bootstrap: list[str]) -> Process:
    """AWS's own emulator, which starts ``bootstrap``."""
    flags = [
        f"--runtime-interface-emulator-address=127.0.0.1:{port}",
        f"--runtime-api-address=127.0.0.1:{free_port()}",
        "--log-level=error",
    ]
    command = [PEERS["emulator"]().path, *flags, *bootstrap]
    return Process(command, LAMBDA_VARIABLES, log=CACHE / "emulator-official.log")


def compare(name: str, bootstrap: list[str], function: list[str], rounds: int) -> None:
    """Print what each makes of one function: ``bootstrap`` is its command, ``function`` how ``adapter dev`` has it."""
    say(f"{name}:")
    with ExitStack() as stack:
        ports = [free_port() for _ in range(3)]
        candidates = [
            Candidate("official emulator, 1 client", official(ports[0], bootstrap), ports[0], 1, stack),
            Candidate("adapter dev, 1 client, 1 environment", ours(ports[1], 1, function), ports[1], 1, stack),
            Candidate("adapter dev, 20 clients, 4 environments", ours(ports[2], 4, function), ports[2], 20, stack),
        ]
        for turn in range(rounds):
            for candidate in candidates[:: 1 if turn % 2 else -1]:
                candidate.sample()
        theirs = candidates[0].rate
        for each in candidates:
            spread = f"{min(each.rates):.0f} to {max(each.rates):.0f}"
            say(
                f"  {each.name:<41}{each.rate:6.0f} /s ({spread}), {each.rate / theirs:.2f} times the official "
                f"emulator's; {median(each.cpu):.0f} µs of CPU each"
            )


def idle() -> None:
    """Print what an ``adapter dev`` with an app has in memory when nobody asks, and how soon it answers."""
    port, front = free_port(), free_port()
    app = HERE.parent / "examples" / "fastapi_app"
    own = [*ADAPTER, "dev", "--port", str(front), "--invoke-port", str(port)]
    command = [*own, "--app-dir", str(app), "--", sys.executable, "-m", "uvicorn", "main:app", "--port", "{port}"]
    begun = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            for line in process.stderr:
                if "curl -N" in line:
                    break
            listening = time.monotonic() - begun
            ready = answered = 0.0
            with closing(socket.create_connection(("127.0.0.1", front))) as client:
                client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                for line in process.stderr:
                    if "startup complete" in line:
                        ready = time.monotonic()
                        break
                client.recv(65536)
                answered = time.monotonic()
            status = Path(f"/proc/{process.pid}/status").read_text().splitlines()
            memory = next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS"))
            say(f"adapter dev listens after {listening:.2f} s, answers {answered - ready:.3f} s after its app is ready")
            say(f"adapter dev, idle: {memory:.1f} MB")
        finally:
            process.send_signal(signal.SIGINT)
            process.stderr.read()
            process.wait(PATIENCE)


def say(text: str) -> None:
    """Write a line of the result."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> None:
    """Measure everything."""
    rounds = int(sys.argv[1]) if sys.argv[1:] else 7
    app = [str(program("fake_app")), "{port}"]
    echo = [sys.executable, "-I", "-S", str(HERE / "echo_runtime.py")]
    compare("adapter run", [*ADAPTER, "run", "--", *app], ["--", *app], rounds)
    compare("an echo", echo, ["--runtime", " ".join(echo)], rounds)
    idle()


if __name__ == "__main__":
    main()
