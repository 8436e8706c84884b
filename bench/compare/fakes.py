"""The C programs on both sides of a candidate, and what they measured."""

from __future__ import annotations

import json
from pathlib import Path

from compare.builds import program
from compare.process import Process


class Fake(Process):
    """A C program that says ``port N`` first."""

    def __init__(self, name: str, *arguments: object) -> None:
        super().__init__([program(name), *map(str, arguments)], talks=True)
        self.port = int(self.hear().removeprefix("port "))


class FakeApp(Fake):
    """The app that does next to nothing. Its text repeats the file ``text``, if there is one."""

    def __init__(self, text: Path | None = None) -> None:
        super().__init__("fake_app", 0, *([] if text is None else [text]))


class Measuring(Fake):
    """A fake that runs ``count`` exchanges when told to and says what they took."""

    def run(self, count: int, candidate: Process) -> dict[str, int]:
        """The counts and times (``_ns``) that the fake measured. Raises RuntimeError where an exchange failed."""
        self.tell(f"run {count}")
        measured = {str(name): int(value) for name, value in json.loads(self.hear(candidate)).items()}
        if measured["failures"]:
            raise RuntimeError(f"{measured['failures']} of {count} exchanges failed")
        return measured


class FakeLambda(Measuring):
    """The Runtime API that hands out ``event`` (a file) to ``slots`` at once."""

    def __init__(self, event: Path, *, slots: int = 1) -> None:
        super().__init__("fake_lambda", event, slots)

    @property
    def address(self) -> str:
        """For AWS_LAMBDA_RUNTIME_API."""
        return f"127.0.0.1:{self.port}"

    def first_next_ns(self, candidate: Process) -> int:
        """Wait for the first ``/next``; its time of the monotonic clock."""
        return int(self.hear(candidate).removeprefix("next "))

    def answer(self, place: Path, candidate: Process) -> bytes:
        """The body of the answer to one invocation, by way of the file ``place``."""
        self.tell(f"save {place}")
        self.hear(candidate)
        return place.read_bytes()


class Load(Measuring):
    """HTTP clients that ask the server at ``port`` for ``path``, or POST ``body`` (a file) to it."""

    def __init__(self, port: int, *, clients: int, path: str, body: Path | None = None) -> None:
        super().__init__("load", port, clients, path, *([] if body is None else [body]))
