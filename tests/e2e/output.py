"""What a process writes, read to the end so that it never blocks, and waited for line by line."""

from __future__ import annotations

import threading
from typing import IO

# How long a test waits for something that must come, in seconds.
PATIENCE = 20.0


class Output:
    """``text`` is what ``stream`` has brought so far."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.text = ""
        self._ended = False
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._reader.start()

    def wait_for(self, part: str) -> str:
        """Return the first line with ``part`` in it, once it is there. Raises AssertionError if it does not come."""

        def found() -> str:
            return next((line for line in self.text.splitlines() if part in line), "")

        with self._changed:
            self._changed.wait_for(lambda: found() or self._ended, PATIENCE)
            assert found(), f"no {part!r} in:\n{self.text}"
            return found()

    def join(self) -> str:
        """Return the whole output. The process must have ended."""
        self._reader.join(PATIENCE)
        return self.text

    def _read(self, stream: IO[bytes]) -> None:
        for line in stream:
            with self._changed:
                self.text += line.decode(errors="replace")
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()
