"""``adapter dev`` as a user starts it: a process with a function URL, and a client of it."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from tests.answer import Answer, read_answer
from tests.e2e.output import PATIENCE, Output

#: The command ``adapter`` of these sources.
ADAPTER = (sys.executable, "-I", "-m", "adapter")
_MARK = "LOCAL_LAMBDA_MARK"
_URL = re.compile(r"http://127\.0\.0\.1:(\d+)/")


class LocalLambda:
    """A running ``adapter dev``. ``output`` is its stderr, with those of the runtime and the app."""

    def __init__(self, process: subprocess.Popen[bytes], mark: str) -> None:
        assert process.stderr is not None
        self.process = process
        self.output = Output(process.stderr)
        self._mark = f"{_MARK}={mark}".encode()
        found = _URL.search(self.output.wait_for("a function URL at"))
        assert found
        self.port = int(found[1])
        found = _URL.search(self.output.wait_for("--endpoint-url"))
        assert found
        self.invoke_port = int(found[1])

    def connect(self) -> closing[http.client.HTTPConnection]:
        return closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE))

    def ask(self, target: str, *, method: str = "GET", body: bytes | None = None) -> Answer:
        """Send a request on a new connection and return the answer."""
        with self.connect() as connection:
            connection.request(method, target, body)
            return read_answer(connection.getresponse())

    def press_ctrl_c(self) -> int:
        """Send SIGINT to the whole process group, as a terminal does, and return the exit code."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(PATIENCE)

    def pids(self) -> set[int]:
        """Return the pids of all processes of this local Lambda, in any session. Linux only."""
        return {int(entry.name) for entry in Path("/proc").glob("[0-9]*") if self._mark in _variables(entry)}


@contextmanager
def local_lambda(
    *command: str, directory: Path, flags: tuple[str, ...] = (), adapter: Sequence[str] = ADAPTER, **environ: str
) -> Iterator[LocalLambda]:
    """Run ``adapter dev FLAGS -- COMMAND`` on a free port; nothing is left when the context ends."""
    mark = uuid.uuid4().hex
    with subprocess.Popen(
        [*adapter, "dev", "--port", "0", *flags, "--", *command],
        cwd=directory,
        env={"PATH": os.environ["PATH"], _MARK: mark, **environ},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        try:
            local = LocalLambda(process, mark)
            yield local
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE)
        local.output.join()


def _variables(process: Path) -> list[bytes]:
    try:
        return (process / "environ").read_bytes().split(b"\0")
    except OSError:
        # It has ended meanwhile, or is another user's.
        return []
