"""The C programs on both sides of a candidate, and their measurements."""

from __future__ import annotations

import json
from pathlib import Path

from compare.builds import program
from compare.process import Process


class Fake(Process):
    """A C program that first writes ``port N``."""

    def __init__(self, name: str, *arguments: object) -> None:
        super().__init__([program(name), *map(str, arguments)], talks=True)
        self.port = int(self.hear().removeprefix("port "))


class FakeApp(Fake):
    """An app that uses almost no CPU time. If ``text`` is not None, its text repeats the content of this file."""

    def __init__(self, text: Path | None = None) -> None:
        super().__init__("fake_app", 0, *([] if text is None else [text]))


class Measuring(Fake):
    """A fake that runs exchanges on command, and reports their counts and times."""

    def run(self, count: int, candidate: Process) -> dict[str, int]:
        """Run ``count`` exchanges. Return the counts and times (``_ns``). Raises RuntimeError if an exchange fails."""
        self.tell(f"run {count}")
        measured = {str(name): int(value) for name, value in json.loads(self.hear(candidate)).items()}
        if measured["failures"]:
            raise RuntimeError(f"{measured['failures']} of {count} exchanges failed")
        return measured


class FakeLambda(Measuring):
    """A Runtime API that sends the event in the file ``event`` to ``slots`` at once."""

    def __init__(self, event: Path, *, slots: int = 1) -> None:
        super().__init__("fake_lambda", event, slots)

    @property
    def address(self) -> str:
        """The value of AWS_LAMBDA_RUNTIME_API."""
        return f"127.0.0.1:{self.port}"

    def first_next_ns(self, candidate: Process) -> int:
        """Wait for the first ``/next``. Return its time, on the monotonic clock."""
        return int(self.hear(candidate).removeprefix("next "))

    def answer(self, place: Path, candidate: Process) -> bytes:
        """Return the body of the answer to one invocation. The fake writes it to the file ``place``."""
        self.tell(f"save {place}")
        self.hear(candidate)
        return place.read_bytes()


class Load(Measuring):
    """HTTP clients that GET ``path`` from the server at ``port``, or POST the content of the file ``body`` to it."""

    def __init__(self, port: int, *, clients: int, path: str, body: Path | None = None) -> None:
        super().__init__("load", port, clients, path, *([] if body is None else [body]))
