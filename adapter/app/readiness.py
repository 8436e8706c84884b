"""The readiness check: when the app is ready, how often it is probed, and what is reported until then. No I/O.

The runtime probes with blocking sockets (``runtime/app_client.py``), the proxy with asyncio (``proxy/app_probe.py``).
"""

from __future__ import annotations

import errno

from adapter.config.ports import PLACEHOLDER, app_address
from adapter.errors import AppNotReady
from adapter.net.address import Address
from adapter.payload.messages import Request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from adapter.config.load import Config

# The longest and the shortest timeout of a probe, in seconds. The last probe gets the time that is left, but not less
# than the shortest timeout.
PROBE_TIMEOUT, _SHORTEST_TIMEOUT = 10.0, 0.01
# The pause between two probes is this fraction of the time since the first probe, within two bounds in seconds. On
# average, half a pause is lost when the app becomes ready: 1 ms, or a quarter of a per cent of the app's start. A
# refused probe uses about 0.02 ms of CPU time, which is at most one per cent of the CPU time of a small function.
_PAUSE_PART, _SHORTEST_PAUSE, _LONGEST_PAUSE = 1 / 200, 0.002, 0.05
# Each unhealthy answer costs the app CPU time. The pause after it is this many times as long as the answer took.
_PAUSE_PER_ANSWER = 20
# Every eighth probe of the runtime tries both loopback addresses, the others only one: each refused connection takes
# CPU time from the starting app.
_OTHER_EVERY = 8
# How long to wait for the app before a warning, in seconds. Most apps start sooner, and Lambda's init may take 10 s.
WARN_AFTER = 4.0
_NO_CONNECTION = "no connection"
# The message of Node for a file that was written for AWS's Node runtime.
_NEEDS_NODE_RUNTIME = "awslambda is not defined"
# How a shell or env(1) ends if it does not find a program, or cannot read its script.
_SHELL_FAILURES = (2, 126, 127)
CONVERT_LINES = r"convert them to LF: sed -i 's/\r$//' FILE"
# An app that restarts refuses connections. These are the longest wait of a request for it, and the interval of the
# attempts to connect, in seconds.
RESTART_WAIT, RESTART_INTERVAL = 5.0, 0.025
# The port is closed, or the Unix socket does not exist.
_REFUSED = (errno.ECONNREFUSED, errno.ENOENT)


def exit_hint(code: int, stderr: str, *, was_ready: bool = False) -> str:
    """Return a hint why CMD has ended with ``code``, or an empty text.

    ``stderr`` has the last lines of CMD's stderr.
    """
    if _NEEDS_NODE_RUNTIME in stderr:
        return " (awslambda exists only in AWS's Node runtime; docs/plain-handlers.md shows how to run such a handler)"
    if code in _SHELL_FAILURES and "\r" in stderr.replace("\r\n", "\n").replace("\\r", "\r"):
        return f" (it reads a script with the line ends of Windows; {CONVERT_LINES})"
    if code or was_ready:
        return ""
    return (
        " (a command that starts a server in the background is not supported; docs/plain-handlers.md is about handlers "
        "without a server)"
    )


def is_refused(error: BaseException | None) -> bool:
    """Return whether ``error``, raised by an attempt to connect, means that the app does not listen."""
    return isinstance(error, OSError) and error.errno in _REFUSED


class ReadinessCheck:
    """How to check whether the app at ``port`` is ready, according to the options.

    ``address`` is the address to probe; its port may differ from the app's. ``request`` is the request of a probe; None
    means that a connection is enough. ``has_command`` is True if CMD starts the app.
    """

    __slots__ = ("_has_command", "_healthy", "address", "request")

    def __init__(self, config: Config, port: int, *, has_command: bool) -> None:
        path = config.app_socket
        if config.readiness_port is not None:
            port, path = config.readiness_port, None
        self.address: Final = app_address(config, port, path)
        self.request: Final = (
            Request(method="GET", target=config.readiness_path, headers=[("connection", "close")])
            if config.readiness_protocol == "http"
            else None
        )
        self._healthy = config.readiness_status
        self._has_command = has_command

    def problem_of(self, status: int) -> str | None:
        """Return None if an answer with ``status`` means that the app is ready, else the problem."""
        return None if self.request is None or status in self._healthy else f"{self._question} answered {status}"

    def no_connection(self, error: object) -> str:
        """Return the problem to report if a probe cannot connect."""
        return f"{_NO_CONNECTION} to {self.address} ({error})"

    def no_response(self, error: object) -> str:
        """Return the problem to report if the answer to a probe is not an HTTP response."""
        return f"{self.address.current} did not answer with HTTP ({error})"

    def no_answer(self, seconds: float) -> str:
        """Return the problem to report if a probe gets no answer within ``seconds``."""
        return f"{self.address.current} did not answer within {seconds:g} s"

    def unready_text(self, problem: str) -> str:
        """Return ``problem`` with a remedy for the user."""
        if self.request is not None and problem.startswith(self._question):
            return (
                f"{problem}. The server on {self.address.current} must answer this request with a healthy status; to "
                "change the path or the healthy statuses, set --readiness-path or --readiness-status "
                "(AWS_LWA_READINESS_CHECK_PATH, AWS_LWA_READINESS_CHECK_HEALTHY_STATUS)"
            )
        if elsewhere := self._hint_of_listener(problem):
            return f"{problem}. {elsewhere}"
        hint = f"write {PLACEHOLDER} in CMD instead of a port" if self._has_command else "start it there"
        return (
            f"{problem}. The app must listen on {self.address}; {hint}, or set the app's port with --app-port "
            "(AWS_LWA_PORT)"
        )

    def _hint_of_listener(self, problem: str) -> str:
        """Return a hint if a process listens on the port at another address, else an empty text."""
        address = self.address.current
        if address.path is not None or not problem.startswith(_NO_CONNECTION):
            return ""
        from adapter.net.port_owner import listening_hosts  # only a failure needs it

        tried = {each.host for each in (address, self.address.other) if each is not None}
        for host in listening_hosts(address.port):
            listener = Address(host=host, port=address.port).local
            if listener.host not in tried:
                return (
                    f"A process listens on {listener}. If it is the app, set --app-host {listener.host} (AWS_LWA_HOST)"
                )
        return ""

    @property
    def _question(self) -> str:
        return "" if self.request is None else f"{self.request.method} {self.request.target}"


class ReadinessWait:
    """The state of a wait until the app is ready.

    Call ``begin_probe`` before each probe, and ``end_probe`` after each probe that finds a problem. Times are seconds
    of a monotonic clock. ``limit`` is the longest wait; None means no limit. After ``end_probe``, ``warning`` is a line
    to log, or empty. After ``begin_probe``, ``tries_other`` is True if this probe tries both of the app's addresses.
    """

    __slots__ = (
        "_begun",
        "_check",
        "_has_warned",
        "_limit",
        "_probed",
        "_probes",
        "_problem",
        "tries_other",
        "warning",
    )

    def __init__(self, check: ReadinessCheck, limit: float | None, now: float) -> None:
        self._check = check
        self._limit = limit
        self._begun = self._probed = now
        self._problem = ""
        self._has_warned = False
        self._probes = 0
        self.tries_other = True
        self.warning = ""

    def begin_probe(self, now: float) -> float:
        """Record the start of a probe. Return its timeout in seconds."""
        self._probed = now
        self.tries_other = self._probes % _OTHER_EVERY == 0
        self._probes += 1
        if self._limit is None:
            return PROBE_TIMEOUT
        return min(PROBE_TIMEOUT, max(_SHORTEST_TIMEOUT, self._begun + self._limit - now))

    def end_probe(self, problem: str, now: float) -> float:
        """Record that the probe found ``problem``. Return the pause before the next probe, in seconds.

        Raises AppNotReady if the limit does not allow another probe.
        """
        waited = now - self._begun
        pause = max(waited * _PAUSE_PART, (now - self._probed) * _PAUSE_PER_ANSWER, _SHORTEST_PAUSE)
        pause = min(pause, _LONGEST_PAUSE)
        # The limit may cut the last probe short. The problem of an earlier, complete probe is more useful.
        if not self._problem or self._limit is None or waited < self._limit:
            self._problem = problem
        if self._limit is not None and waited + pause >= self._limit:
            reason = self._check.unready_text(self._problem)
            raise AppNotReady(f"the app was not ready after {self._limit:g} s: {reason}")
        self.warning = ""
        if not self._has_warned and waited >= WARN_AFTER:
            self._has_warned = True
            end = "" if self._limit is None else f" (the limit is {self._limit:g} s)"
            reason = self._check.unready_text(self._problem)
            self.warning = f"the app is not ready after {WARN_AFTER:g} s{end}: {reason}"
        return pause
