"""Keys of ``adapter dev`` on a terminal: each key press triggers an action at once, without Enter.

The terminal delivers single keys only while this process is in the foreground. When this process ends, is suspended
with Ctrl-Z or goes to the background, the original mode of the terminal is restored.
"""

from __future__ import annotations

import atexit
import os
import re
import select
import termios
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio

_STDIN = 0
# The characters that an arrow key or a function key sends.
_SEQUENCE = re.compile(r"\x1b[\[O][0-9;]*[A-Za-z~]|\x1b")
# If more characters arrive at once, they are pasted text, and are ignored.
_MOST_KEYS = 4
# The time after a key press in which the signal of an earlier Ctrl-C or Ctrl-Z may still arrive, in seconds.
_SIGNAL_DELAY = 0.02
# The position of the local modes in the attributes of a terminal (tcgetattr(3)).
_LOCAL_MODES = 3


class Keys:
    """Calls ``actions[key]`` for each key that is pressed. A key that is not in ``actions`` has no effect.

    ``open`` and ``close`` can be called any number of times. If stdin is not a terminal, they have no effect.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, actions: Mapping[str, Callable[[], None]]) -> None:
        self._loop = loop
        self._actions = actions
        self._timer: asyncio.TimerHandle | None = None
        # The attributes of the terminal before it was changed, or None if it is not changed now.
        self._before: list[Any] | None = None

    @property
    def is_open(self) -> bool:
        """Whether keys are being read."""
        return self._before is not None

    def open(self) -> None:
        """Read keys from now on, if stdin is a terminal and this process is in the terminal's foreground."""
        if self.is_open or not _is_in_foreground():
            return
        try:
            before = termios.tcgetattr(_STDIN)
            changed = termios.tcgetattr(_STDIN)
            # Switch off line editing and echo. Ctrl-C and Ctrl-Z still send their signals.
            changed[_LOCAL_MODES] &= ~(termios.ICANON | termios.ECHO)
            termios.tcsetattr(_STDIN, termios.TCSADRAIN, changed)
        except termios.error:
            return
        self._before = before
        atexit.register(self.close)
        self._loop.add_reader(_STDIN, self._wait_for_signals)

    def close(self) -> None:
        """Restore the mode of the terminal, and read no more keys."""
        if self._before is None:
            return
        before, self._before = self._before, None
        atexit.unregister(self.close)
        if self._timer is not None:
            self._timer.cancel()
        if not self._loop.is_closed():
            self._loop.remove_reader(_STDIN)
        # If this process is in the background, the shell has already restored its own mode.
        if _is_in_foreground():
            try:
                termios.tcsetattr(_STDIN, termios.TCSADRAIN, before)
            except termios.error:
                # The terminal is closed.
                return

    def _wait_for_signals(self) -> None:
        """Read the keys only after _SIGNAL_DELAY seconds: the signal of an earlier Ctrl-C or Ctrl-Z may arrive late.

        Keys typed after Ctrl-C or Ctrl-Z are not read, because they are meant for the shell.
        """
        self._loop.remove_reader(_STDIN)
        self._timer = self._loop.call_later(_SIGNAL_DELAY, self._read)

    def _read(self) -> None:
        if not _is_in_foreground():
            self.close()
            return
        if not select.select([_STDIN], [], [], 0)[0]:
            # The app (``--debug``) has read the keys in the meantime. A read would now block the whole emulator.
            self._loop.add_reader(_STDIN, self._wait_for_signals)
            return
        try:
            typed = os.read(_STDIN, 64)
        except OSError:
            typed = b""
        if not typed:
            self.close()
            return
        self._loop.add_reader(_STDIN, self._wait_for_signals)
        keys = _SEQUENCE.sub("", typed.decode("latin-1"))
        for key in keys if len(keys) <= _MOST_KEYS else "":
            if key in self._actions:
                self._actions[key]()


def _is_in_foreground() -> bool:
    """Return whether stdin is a terminal and this process is in the terminal's foreground."""
    try:
        return os.tcgetpgrp(_STDIN) == os.getpgrp()
    except OSError:
        return False
