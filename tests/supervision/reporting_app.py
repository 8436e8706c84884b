"""An app that reports what happens to it, and takes orders from the test, over the test's Unix socket.

Each of its processes has a connection of its own, and says who it is in the first line. So a connection that ends is a
process that is gone, in whatever way. The app's HTTP side is the scripted app.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import threading
from queue import SimpleQueue
from types import FrameType
from typing import NoReturn

from tests.scripted_app import Received, ScriptedApp

# What no process can handle, and what the system sends for a process's own faults and children.
_NOT_REPORTED = {
    *(signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD),
    *(signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGSEGV, signal.SIGSYS, signal.SIGTRAP),
}
REPORTED = tuple(sorted(signal.valid_signals() - _NOT_REPORTED))
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
FIRST_PIECE, LAST_PIECE = b"first\n", b"last\n"
# More than the proxy and the kernel hold for a client that does not read.
FAREWELL = bytes(range(251)) * 2000


def name_of(number: int) -> str:
    """Return the name of a signal; most real-time signals have only a number."""
    return signal.Signals(number).name if number in set(signal.Signals) else str(number)


class Report:
    """The process's connection to the test."""

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(path)
        self._orders = self._socket.makefile("r")

    def introduce(self, role: str) -> None:
        """The first line; from now on the test takes the process for one that is set up."""
        self.say(f"{role} {os.getpid()}")

    def say(self, line: str) -> None:
        self._socket.sendall(f"{line}\n".encode())

    def order(self) -> str:
        """Return the next order of the test; "end" when the test is over."""
        try:
            return self._orders.readline().strip() or "end"
        except ConnectionResetError:
            # The test has not even looked at this process.
            return "end"

    def say_signals(self, numbers: tuple[int, ...]) -> None:
        """Report these signals, and do nothing else about them."""

        def say(number: int, frame: FrameType | None) -> None:
            self.say(name_of(number))

        for number in numbers:
            signal.signal(number, say)


class App:
    """Its streams wait for the order ``go``; ``exit N`` ends it at once, ``listen`` has it serve."""

    def __init__(self, report: Report, where: str) -> None:
        self._report = report
        self._where = where
        self._go: SimpleQueue[None] = SimpleQueue()
        self._http: ScriptedApp | None = None

    def obey(self) -> None:
        """Do what the test says until it is over."""
        while (order := self._report.order()) != "end":
            verb, _, argument = order.partition(" ")
            if verb == "listen":
                self.listen()
            elif verb == "go":
                self._go.put(None)
            elif verb == "exit":
                os._exit(int(argument))
            elif verb == "write":
                self._write(int(argument))
        # The test has disconnected, so no further command can arrive.
        os._exit(1)

    def listen(self) -> None:
        """Serve HTTP on the port, or on the Unix socket if it is a path."""
        self._http = ScriptedApp(port=int(self._where)) if self._where.isdigit() else ScriptedApp(path=self._where)
        self._http.replies = {"/stream": self._stream, "/final_grace": self._say_farewell}

    def _stream(self, received: Received) -> None:
        received.send(CHUNKED + b"%x\r\n%b\r\n" % (len(FIRST_PIECE), FIRST_PIECE))
        self._report.say("streaming")
        self._go.get()
        received.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(LAST_PIECE), LAST_PIECE))

    def _say_farewell(self, received: Received) -> None:
        """A whole response, and then nothing more of this process."""
        received.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(FAREWELL) + FAREWELL)
        os._exit(0)

    def _write(self, size: int) -> None:
        """Write so much to stderr; report it when all of it has been taken."""
        left = size
        while left:
            left -= os.write(2, b"x" * min(left, 65536))
        self._report.say("written")


def start_children(path: str, count: int) -> None:
    """Start processes in the app's group that report signals."""
    for number in range(count):
        if os.fork() == 0:
            be_child(path, number)


def be_child(path: str, number: int) -> NoReturn:
    report = Report(path)
    report.say_signals(REPORTED)
    report.introduce(f"child-{number}")
    # The one order is to end; it comes at the latest when the test is over.
    threading.Thread(target=lambda: os._exit(report.order() != "end"), daemon=True).start()
    handle_signals()


def start_orphans(path: str, count: int) -> None:
    """Leave processes behind whose parent is gone, in sessions of their own, deaf to SIGTERM; ``end`` ends them."""
    for number in range(count):
        parent = os.fork()
        if parent == 0:
            os.setsid()
            if os.fork() == 0:
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                report = Report(path)
                report.introduce(f"orphan-{number}")
                report.order()
            os._exit(0)
        os.waitpid(parent, 0)


def handle_signals() -> NoReturn:
    """Wait for signals; a pause could begin right after one had come, and sleep through it."""
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    signal.set_wakeup_fd(write_end)
    while True:
        os.read(read_end, 1)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("path")
    parser.add_argument("where")
    parser.add_argument("--waits", action="store_true", help="do not listen before the order to")
    parser.add_argument("--deaf", action="store_true", help="only report signals, those that should end it included")
    parser.add_argument(
        "--ends-with", type=int, help="the exit code after SIGTERM or SIGINT; by default it dies of them"
    )
    parser.add_argument("--children", type=int, default=0)
    parser.add_argument("--orphans", type=int, default=0)
    options = parser.parse_args()
    # Before there are threads.
    start_children(options.path, options.children)
    start_orphans(options.path, options.orphans)
    report = Report(options.path)
    # Python would turn it into an exception with a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if options.deaf:
        report.say_signals(REPORTED)
    if options.ends_with is not None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: os._exit(options.ends_with))
    report.introduce("app")
    app = App(report, options.where)
    if not options.waits:
        app.listen()
    threading.Thread(target=app.obey, daemon=True).start()
    handle_signals()


if __name__ == "__main__":
    main()
