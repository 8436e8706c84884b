"""Run ``adapter dev`` for a measurement, warmed up by one request."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import IO

# The time limit of each step, in seconds. Usually a step takes moments.
PATIENCE = 30.0
REPOSITORY = Path(__file__).resolve().parent.parent
_URL = re.compile(r"a function URL at http://127\.0\.0\.1:(\d+)/")


@contextmanager
def local_lambda(command: list[str], *, directory: Path, flags: list[str] | None = None) -> Iterator[HTTPConnection]:
    """Run ``command`` in ``directory`` with ``adapter dev``. Yield a connection that has had one answer."""
    with subprocess.Popen(
        [sys.executable, "-I", "-m", "adapter", "dev", "--port", "0", *(flags or []), "--", *command],
        cwd=directory,
        env={"PATH": os.environ["PATH"]},  # noqa: TID251 (nothing else of the caller's may change the result)
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        try:
            port = _port(process.stderr)
            # Read and drop its further output, so that it never waits for a full pipe.
            threading.Thread(target=process.stderr.read, daemon=True).start()
            with closing(HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as connection:
                connection.request("GET", "/")
                connection.getresponse().read()
                yield connection
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(PATIENCE)


def _port(stderr: IO[str]) -> int:
    said = ""
    for line in stderr:
        said += line
        if found := _URL.search(line):
            return int(found[1])
    raise SystemExit(f"adapter dev did not start:\n{said}")
