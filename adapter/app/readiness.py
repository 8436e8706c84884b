"""The readiness check: when the app is ready, how often it is probed, and what is reported before it is ready.

This module sends no probes. The runtime sends them over blocking sockets (``runtime/app_client.py``), the proxy with
asyncio (``proxy/app_probe.py``).
"""

from __future__ import annotations

import errno

from adapter.config.parsers import ANY_PORT, FOLLOWED_PORT
from adapter.config.ports import PLACEHOLDER, app_address
from adapter.errors import AppNotReady
from adapter.net.address import Address
from adapter.payload.messages import Request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

    from adapter.config.load import Config

# The longest and the shortest timeout of a probe, in seconds. The last probe gets the time that is left, but not less
# than the shortest timeout.
PROBE_TIMEOUT, _SHORTEST_TIMEOUT = 10.0, 0.01
# The pause between two probes is this fraction of the time since the first probe, within two bounds in seconds. On
# average, half a pause is lost when the app becomes ready: 1 ms, or a quarter of a per cent of the app's start. A
# refused probe uses about 0.02 ms of CPU time, which is at most one per cent of the CPU time of a small function.
_PAUSE_PART, _SHORTEST_PAUSE, _LONGEST_PAUSE = 1 / 200, 0.002, 0.05
# The pause after a refused probe is at least this many times as long as the probe took.
_PAUSE_PER_PROBE = 20
# Each wrong answer costs the app CPU time and a part of its log. The pause after it is this fraction of the time since
# the first wrong answer, up to a bound in seconds.
_ANSWER_PAUSE_PART, _LONGEST_ANSWER_PAUSE = 1 / 10, 1.0
# The last probe begins this many seconds before the limit.
_LAST_PROBE = 0.05
# Every eighth probe of the runtime tries both loopback addresses, the others only one: each refused connection takes
# CPU time from the starting app.
_OTHER_EVERY = 8
# The time to wait for the app before a warning, in seconds. Most apps start sooner, and Lambda's init may take 10 s.
WARN_AFTER = 4.0
# The time to wait before searching for the app at other ports, outside of Lambda, in seconds. The second value is for
# --app-port auto, and is also the interval of further searches.
_LOOK_AFTER, _FOLLOW_AFTER = 1.0, 0.1
_NO_CONNECTION = "no connection"
_NO_HTTP = "did not answer with HTTP"
_IS_FOREIGN = "is used by another process, not by the app:"
# While the app restarts, it refuses connections. The longest time that a request waits, and the interval
# between two attempts to connect, in seconds.
RESTART_WAIT, RESTART_INTERVAL = 5.0, 0.025
# The port is closed, or the Unix socket does not exist.
_REFUSED = (errno.ECONNREFUSED, errno.ENOENT)


def is_refused(error: BaseException | None) -> bool:
    """Return whether ``error``, raised by an attempt to connect, means that the app is not listening."""
    return isinstance(error, OSError) and error.errno in _REFUSED


class ReadinessCheck:
    """The readiness check of the app at ``port``, according to the options.

    ``address`` is the address to probe; its port may differ from the app's. ``request`` is the request of a probe; None
    means that a connection is enough. ``has_command`` is True if CMD starts the app. If ``follows`` is True
    (``--app-port auto``), ``address`` becomes the address on which the app is found. ``is_local`` is False on Lambda.
    """

    __slots__ = (
        "_app",
        "_has_command",
        "_has_free_port",
        "_healthy",
        "_marker",
        "_names_port",
        "address",
        "follows",
        "is_local",
        "request",
    )

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
        self.follows: Final = config.app_port == FOLLOWED_PORT
        self._has_free_port = config.app_port == ANY_PORT
        self._healthy = config.readiness_status
        self._has_command = has_command
        # The pid of the app, whether its command names its port, and a variable that all of its processes have.
        self._app: int | None = None
        self._names_port = False
        self._marker = f"AWS_LAMBDA_LOG_STREAM_NAME={config.log_stream}" if config.log_stream else ""
        # On Lambda, no other process uses the port, and the start is too short to look for one.
        self.is_local: Final = not config.on_lambda or config.is_in_dev

    def watch(self, pid: int, command: Sequence[str]) -> None:
        """Record the app's pid and ``command``, so that other ports on which the app listens are found as well."""
        self._app = pid
        self._names_port = any(str(self.address.current.port) in word for word in command)

    def problem_of(self, status: int) -> str | None:
        """Return None if an answer with ``status`` means that the app is ready, else the problem."""
        return None if self.request is None or status in self._healthy else f"{self._question} answered {status}"

    def no_connection(self, error: object) -> str:
        """Return the problem to report if a probe cannot connect."""
        return f"{_NO_CONNECTION} to {self.address} ({error})"

    def no_response(self, error: object) -> str:
        """Return the problem to report if the answer to a probe is not an HTTP response."""
        return f"{self.address.current} {_NO_HTTP} ({error})"

    def no_answer(self, seconds: float) -> str:
        """Return the problem to report if a probe gets no answer within ``seconds``."""
        return f"{self.address.current} did not answer within {seconds:g} s"

    def foreign_answer(self) -> str | None:
        """Return the problem if the process that has answered does not belong to the app.

        Return None if the process belongs to the app, if that cannot be determined, or on Lambda. Call this after a
        probe that has found no problem.
        """
        address = self.address.current
        if self._app is None or not self.is_local or address.path is not None:
            return None
        from adapter.app.listeners import foreign_owner  # on Lambda, it is not needed

        owner = foreign_owner(address, self._app, self._marker)
        if owner is None:
            return None
        from adapter.net.port_owner import process_text

        return f"{address} {_IS_FOREIGN} {process_text(*owner)}"

    def unready_text(self, problem: str) -> str:
        """Return ``problem`` with a remedy for the user."""
        if self.request is not None and problem.startswith(self._question):
            return (
                f"{problem}. The server on {self.address.current} must answer this request with a healthy status; to "
                "change the path or the healthy statuses, set --readiness-path or --readiness-status "
                "(AWS_LWA_READINESS_CHECK_PATH, AWS_LWA_READINESS_CHECK_HEALTHY_STATUS)"
            )
        if _IS_FOREIGN in problem:
            return (
                f"{problem}. End that process, or give the app another port: write {PLACEHOLDER} in CMD instead of "
                "a port, or set --app-port (AWS_LWA_PORT)"
            )
        if not problem.startswith(_NO_CONNECTION):
            return (
                f"{problem}. The app must answer there with HTTP; with --readiness-protocol tcp, a connection is enough"
            )
        if elsewhere := self.listener_text() or self._hint_of_listener():
            return f"{problem}. {elsewhere}"
        must = f"The app must listen on {self.address}"
        if not self._has_command:
            return f"{problem}. {must}; start the app there, or set its port with --app-port (AWS_LWA_PORT)"
        if self._names_port:
            return f"{problem}. {must}, since CMD names this port; the app does not listen on any port yet"
        if self._has_free_port:
            return (
                f"{problem}. {must}, since its variable PORT names this port; if the app does not read PORT, write "
                f"{PLACEHOLDER} in CMD"
            )
        return (
            f"{problem}. {must}; write {PLACEHOLDER} in CMD instead of a port, or set the app's port with --app-port "
            "(AWS_LWA_PORT)"
        )

    def listener_text(self) -> str:
        """If the app listens on a different port than expected, return a hint with this port and ``--app-port``.

        Otherwise return an empty string.
        """
        address = self.address.current
        found = self._app_addresses()
        if not found or address.port in [each.port for each in found]:
            # If the app listens on this port at another host, ``_hint_of_listener`` reports this.
            return ""
        [first, *others] = [str(each.port) for each in found]
        listens = f"The app listens on {' and '.join((first, *others))}"
        if self._names_port:
            return (
                f"{listens}, but CMD names {address.port}; correct the option in CMD that sets the port, or set "
                f"--app-port {first} (AWS_LWA_PORT)"
            )
        return f"{listens}; set --app-port {first} (AWS_LWA_PORT)"

    def follow(self) -> bool:
        """If the app listens on exactly one port, set ``address`` to this port (``--app-port auto``), and return True.

        Otherwise change nothing and return False.
        """
        found = self._app_addresses()
        if len(found) != 1:
            return False
        self.address.current, self.address.other = found[0], None
        return True

    def _app_addresses(self) -> list[Address]:
        if self._app is None or self.address.current.path is not None:
            return []
        from adapter.app.listeners import addresses_of  # only a slow start needs it

        return addresses_of(self._app)

    def _hint_of_listener(self) -> str:
        """Return a hint if a process listens on the app's port, but at another host, else an empty string."""
        address = self.address.current
        if address.path is not None:
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
    def look_after(self) -> float:
        """The time to wait before searching for the app at other ports, in seconds."""
        if self.follows:
            return _FOLLOW_AFTER
        return _LOOK_AFTER if self.is_local else WARN_AFTER

    @property
    def _question(self) -> str:
        return "" if self.request is None else f"{self.request.method} {self.request.target}"


class ReadinessWait:
    """The state of a wait until the app is ready.

    Call ``begin_probe`` before each probe, and ``end_probe`` after each probe that finds a problem. Times are seconds
    of a monotonic clock. ``limit`` is the longest wait; None means no limit. After ``end_probe``, ``warning`` is a line
    to log, or an empty string. After ``begin_probe``, ``tries_other`` is True if this probe tries both of the app's
    addresses.
    """

    __slots__ = (
        "_answered",
        "_begun",
        "_check",
        "_has_warned",
        "_limit",
        "_logged",
        "_look_at",
        "_probed",
        "_probes",
        "_problem",
        "_was_broken",
        "tries_other",
        "warning",
    )

    def __init__(self, check: ReadinessCheck, limit: float | None, now: float) -> None:
        self._check = check
        self._limit = limit
        self._begun = self._probed = now
        # The time of the first wrong answer, and the last wrong answer that was logged.
        self._answered: float | None = None
        self._logged = ""
        self._look_at: float | None = now + check.look_after
        self._problem = ""
        self._was_broken = False
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

        Raises AppNotReady if the time limit would be over before the next probe.
        """
        waited = now - self._begun
        is_answer = not problem.startswith(_NO_CONNECTION)
        pause = self._pause_after_answer(now) if is_answer else self._pause_after_refusal(now)
        # The limit may cut the last probe short. The problem of an earlier, complete probe is more useful.
        if not self._problem or self._limit is None or waited < self._limit:
            self._problem = problem
        if self._limit is not None and waited + pause >= self._limit:
            reason = self._check.unready_text(self._problem)
            raise AppNotReady(f"the app was not ready after {self._limit:g} s: {reason}")
        self.warning = self._warning(waited, now, is_answer=is_answer)
        return pause

    def _pause_after_refusal(self, now: float) -> float:
        pause = max((now - self._begun) * _PAUSE_PART, (now - self._probed) * _PAUSE_PER_PROBE, _SHORTEST_PAUSE)
        return min(pause, _LONGEST_PAUSE)

    def _pause_after_answer(self, now: float) -> float:
        if self._answered is None:
            self._answered = now
        pause = min((now - self._answered) * _ANSWER_PAUSE_PART, _LONGEST_ANSWER_PAUSE)
        if self._limit is not None:
            # A long pause does not end the wait before the limit.
            pause = min(pause, self._begun + self._limit - _LAST_PROBE - now)
        return max(pause, _SHORTEST_PAUSE)

    def _warning(self, waited: float, now: float, *, is_answer: bool) -> str:
        """Return a line to log about a new wrong answer, an app that listens elsewhere, or a long wait.

        Return an empty string if there is nothing new to log.
        """
        # An app that ends breaks its connections, so only the second broken connection is a wrong answer.
        was_broken, self._was_broken = self._was_broken, _NO_HTTP in self._problem
        if is_answer and self._problem != self._logged and (was_broken or not self._was_broken):
            first, self._logged = not self._logged, self._problem
            return f"the app is not ready: {self._check.unready_text(self._problem) if first else self._problem}"
        is_look_due = not is_answer and self._look_at is not None and now >= self._look_at
        if is_look_due and (line := self._look(now)):
            return line
        if self._has_warned or waited < WARN_AFTER:
            return ""
        self._has_warned = True
        end = "" if self._limit is None else f" (the limit is {self._limit:g} s)"
        return f"the app is not ready after {WARN_AFTER:g} s{end}: {self._check.unready_text(self._problem)}"

    def _look(self, now: float) -> str:
        """Look for the app at other ports. Return a line to log if the app was found, else an empty string."""
        # The search is repeated until the app is found, but not on Lambda, where it costs too much.
        self._look_at = now + self._check.look_after if self._check.is_local else None
        if self._check.follows:
            if not self._check.follow():
                return ""
            self._look_at = None
            return f"the app listens on {self._check.address} (--app-port auto)"
        elsewhere = self._check.listener_text()
        if elsewhere:
            self._look_at, self._has_warned = None, True
        return f"the app is not ready: {self._problem}. {elsewhere}" if elsewhere else ""
