"""The terminal of ``adapter dev`` while it serves: keys, and the line about requests in progress."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import cycle
from typing import TYPE_CHECKING

from adapter.emulator.inspector.errors import RefusedAction
from adapter.emulator.terminal.keys import Keys
from adapter.emulator.terminal.status_line import StatusLine

if TYPE_CHECKING:
    from collections.abc import Callable

    from adapter.emulator.records.record import RequestRecord
    from adapter.emulator.service.endpoints import Endpoints
    from adapter.emulator.terminal.lines import Terminal

# The pause between two updates of the line about requests in progress, in seconds.
_UPDATE_PERIOD = 0.25
# The idle time that one press of the key adds to idle environments, in seconds.
_AGED_BY = 3600.0
# The faults that a key sets one after the other.
_FAULTS = ("delay=1", "throttle", "kill", "truncate", "drop", "init", "")
_STDERR = 2


class Console:
    """Acts on keys and shows requests in progress. ``quit`` is called to end ``adapter dev``.

    The variables in ``environ`` show whether there is a desktop on which a browser can be opened.
    """

    def __init__(
        self, terminal: Terminal, endpoints: Endpoints, quit: Callable[[], None], environ: Mapping[str, str]
    ) -> None:
        self._terminal = terminal
        self._endpoints = endpoints
        self._quit = quit
        self._environ = environ
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._faults = cycle(_FAULTS)
        actions: dict[str, Callable[[], None]] = {
            "h": self._help,
            "?": self._help,
            "o": self._open_page,
            "r": self._replay_last,
            "c": self._compare,
            "i": self._age,
            "f": self._next_fault,
            "x": self._clear,
            "q": self._quit,
        }
        self.keys = Keys(self._loop, actions)

    @contextmanager
    def active(self) -> Iterator[None]:
        """Act on keys, and show requests in progress, until the context is left. No effect without a terminal."""
        if self._terminal.log is not None or not os.isatty(_STDERR):
            yield
            return
        write, width = self._terminal.write_in_place, _columns
        self._terminal.status = StatusLine(self._endpoints.ring, write, width)
        self._update()
        self.resume()
        if self.keys.is_open:
            self._terminal.notice("press h for help")
        try:
            yield
        finally:
            self.suspend()
            self._terminal.status = None
            if self._timer is not None:
                self._timer.cancel()

    def suspend(self) -> None:
        """Restore the terminal's mode and stop reading keys, for example before Ctrl-Z suspends this process."""
        self.keys.close()
        if self._terminal.status is not None:
            self._terminal.status.erase()

    def resume(self) -> None:
        """Read keys again, if this process is in the foreground."""
        if self._terminal.status is not None:
            self.keys.open()

    def _update(self) -> None:
        if self._terminal.status is not None:
            if self._endpoints.ring.running:
                self._terminal.status.update()
            # A shell that moves a running job to the foreground sends no signal.
            self.resume()
            self._timer = self._loop.call_later(_UPDATE_PERIOD, self._update)

    # --- keys ------------------------------------------------------------------------------------------------------

    def _help(self) -> None:
        self._terminal.notice(
            "h help | o open the inspector | r replay the last request | c compare the last request in both modes | "
            "i age idle environments by an hour | f next fault | x clear the inspector | q quit"
        )

    def _open_page(self, fragment: str = "") -> None:
        url = self._endpoints.settings.inspector_url
        if not url:
            self._terminal.notice(
                "the inspector is off: --no-inspector is set, or no port was free; name a port with --inspector",
                level="warn",
            )
            return
        url += fragment
        self._terminal.notice(f"the inspector is at {url}")
        if command := _opener(self._environ):
            self._endpoints.group.create_task(_run(command, url))

    def _last(self) -> RequestRecord | None:
        """Return the newest record of a client's request. If there is none, write a notice and return None."""
        found = [record for record in self._endpoints.ring if record.is_over and record.client_method]
        if not found:
            self._terminal.notice("there is no request to repeat yet")
        return found[-1] if found else None

    def _replay_last(self) -> None:
        self._replay()

    def _replay(self, mode: str | None = None) -> int | None:
        record = self._last()
        if record is None:
            return None
        try:
            return self._endpoints.sender.replay(record, mode)
        except RefusedAction as refusal:
            self._terminal.notice(str(refusal), level="warn")
            return None

    def _compare(self) -> None:
        record = self._last()
        if record is None:
            return
        number = self._replay("buffered" if record.mode == "streaming" else "streaming")
        if number is not None:
            self._open_page(f"#/compare/{record.number}/{number}")

    def _age(self) -> None:
        self._endpoints.age(_AGED_BY)
        self._terminal.notice("idle environments are an hour older now; they end if --idle-reclaim is set")

    def _next_fault(self) -> None:
        fault = next(self._faults)
        self._endpoints.replace_faults(fault)
        self._terminal.notice(
            f"the fault {fault} is injected from now on" if fault else "no fault is injected any more"
        )

    def _clear(self) -> None:
        self._endpoints.ring.clear()
        self._terminal.notice("the inspector is empty")


def _columns() -> int:
    return shutil.get_terminal_size().columns


def _opener(environ: Mapping[str, str]) -> str | None:
    """Return the program that opens a URL on this desktop, or None if there is no desktop."""
    if sys.platform == "darwin":
        return "open"
    if environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"):
        return shutil.which("xdg-open")
    return None


async def _run(command: str, url: str) -> None:
    """Run ``command`` with ``url``, but without access to the emulator's terminal."""
    nothing = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        command, url, stdin=nothing, stdout=nothing, stderr=nothing, start_new_session=True
    )
    await process.wait()
