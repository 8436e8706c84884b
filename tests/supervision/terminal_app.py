"""An app that uses the terminal beside HTTP: ``PORT [--idle] [--sets] [--tty]``; SIGINT ends it as by default.

It reads lines, and writes each with ``read:`` before it; the line ``exit N`` ends it. With ``--idle`` it only says
whether it is the foreground job, with ``--sets`` it sets the terminal, with ``--tty`` it reads /dev/tty.
"""

from __future__ import annotations

import os
import signal
import sys
import termios

from tests.scripted_app import ScriptedApp


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    port, *options = sys.argv[1:]
    ScriptedApp(port=int(port))
    if "--idle" in options:
        say(f"is in the foreground: {os.tcgetpgrp(0) == os.getpgrp()}")
        while True:
            signal.pause()
    if "--sets" in options:
        termios.tcsetattr(0, termios.TCSANOW, termios.tcgetattr(0))
        say("the terminal is set")
    with open("/dev/tty") if "--tty" in options else sys.stdin as lines:
        for line in lines:
            say(f"read:{line.strip()}")
            word, _, code = line.strip().partition(" ")
            if word == "exit":
                os._exit(int(code))


def say(text: str) -> None:
    os.write(1, f"app {os.getpid()}: {text}\n".encode())


if __name__ == "__main__":
    main()
