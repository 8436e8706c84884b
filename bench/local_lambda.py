"""``adapter dev`` for a measurement: a process, warmed up by one request."""

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

# How long anything may take that should take moments, in seconds.
PATIENCE = 30.0
REPOSITORY = Path(__file__).resolve().parent.parent
_URL = re.compile(r"a function URL at http://127\.0\.0\.1:(\d+)/")


@contextmanager
def local_lambda(command: list[str], *, directory: Path, flags: list[str] | None = None) -> Iterator[HTTPConnection]:
    """A connection to an ``adapter dev`` that runs ``command`` in ``directory``, and has answered once."""
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
            # From now on nobody looks at what it says, but it must never wait for a reader.
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
