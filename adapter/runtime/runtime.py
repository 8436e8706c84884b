"""The life of the runtime: start the app's side of init, take invocations until told to end, shut down.

Each slot takes one invocation after the other, with connections of its own to the Runtime API and to the app. One slot
blocks in the kernel while it waits; several (Managed Instances) leave their thread to each other instead (slots.py).
"""

from __future__ import annotations

from adapter.errors import (
    AdapterError,
    AppExited,
    AppNotReady,
    AppUnreachable,
    RuntimeApiError,
    StartError,
    TruncatedResponse,
)
from adapter.runtime.api_client import RuntimeApiClient, register_extension
from adapter.runtime.app_client import App, Readiness, call_hook
from adapter.runtime.connection import Connection
from adapter.runtime.invocation_relay import InvocationRelay
from adapter.runtime.wakeup import Signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from adapter.app.process import AppProcess
    from adapter.config.load import Config
    from adapter.logs import Log
    from adapter.net.address import Address
    from adapter.payload.messages import Invocation

# After SIGTERM Lambda leaves the runtime about 300 ms of the 2 s of the shutdown phase, then it kills.
# A third of that is for the rest of the end: the last answer, and the interpreter's own exit.
SHUTDOWN_GRACE = 0.2
# How long after that slots may take to say that the app's end cut them off, in seconds, and as long again those whose
# app has not ended with its group, or is not ours to end.
_LAST_ANSWERS = 0.03
# How long an app that broke off may take to be seen to have ended, in seconds.
_LAST_BREATH = 0.05
# With AWS_LWA_ASYNC_INIT: stop probing in time for init to end within Lambda's 10 s.
ASYNC_INIT_LIMIT = 9.8
# Initialization types whose init phase Lambda does not bound by 10 s, so that there is nothing to be early for.
_UNBOUNDED_INIT = frozenset({"snap-start", "provisioned-concurrency", "lambda-managed-instances"})

EXIT_OK, EXIT_FAILURE = 0, 1


class Runtime:
    """The custom runtime in front of the app at ``port``; ``process`` is None where something else started the app."""

    def __init__(self, config: Config, *, port: int, process: AppProcess | None, log: Log) -> None:
        self._config = config
        self._port = port
        self._process = process
        self._log = log
        self._signals = Signals(self._forward_signal, grace=SHUTDOWN_GRACE)
        self._api = RuntimeApiClient(_runtime_api_address(config), wake_up=self._signals.fileno())
        self._app = App(config, port)
        # How to wait and how to connect while there is one slot.
        self._pause: Callable[[float], None] = self._signals.wait
        self._connect: Callable[[Address], Connection] = Connection
        self._connect_to_app: Callable[[Address], Connection] = Connection
        # Kept open, unread, for as long as the process lives.
        self._extension: Connection | None = None
        self._ready = False
        self._told_of_slow_start = False
        self._failure: AdapterError | None = None

    def run(self) -> int:
        """Live from init to shutdown; the process's exit code."""
        try:
            self._register()
            self._start()
            self._take_invocations()
        except StartError as error:
            if self._signals.received is None:
                self._report_failed_init(error)
                self._failure = error
        except RuntimeApiError as error:
            self._fail(error)
        return self._shut_down()

    def _fail(self, error: AdapterError) -> None:
        self._log.error(f"ending: {error}")
        self._failure = error

    def _register(self) -> None:
        try:
            self._extension = register_extension(_required(self._config.runtime_api), self._config.extension_name)
        except (RuntimeApiError, OSError) as error:
            self._log.warning(f"not registered as an extension, so no SIGTERM will announce the end: {error}")

    def _start(self) -> None:
        """The init phase: returns when the app is ready, restored where that applies, or left to start later."""
        initialization_type = self._config.initialization_type
        if self._config.async_init and initialization_type in _UNBOUNDED_INIT:
            self._log.warning(f"AWS_LWA_ASYNC_INIT has no effect under {initialization_type}: its init may take longer")
        if self._config.async_init and initialization_type not in _UNBOUNDED_INIT:
            try:
                self._wait_until_ready(min(ASYNC_INIT_LIMIT, self._config.readiness_timeout))
            except AppNotReady:
                self._log.info("the app is not ready yet; it goes on starting within the first invocation")
        else:
            self._wait_until_ready(self._config.readiness_timeout)
        if initialization_type == "snap-start":
            self._checkpoint_and_restore()

    def _wait_until_ready(self, timeout: float) -> None:
        readiness = Readiness(
            self._config,
            self._port,
            check_app=self._check_app,
            wait=self._pause,
            connect=self._connect_to_app,
            warn=self._tell_of_slow_start,
            has_command=self._process is not None,
        )
        readiness.wait_until_ready(timeout)
        self._ready = True

    def _tell_of_slow_start(self, line: str) -> None:
        """Log ``line``, once: with AWS_LWA_ASYNC_INIT every slot may wait for the app."""
        if not self._told_of_slow_start:
            self._told_of_slow_start = True
            self._log.warning(line)

    def _checkpoint_and_restore(self) -> None:
        """SnapStart: the process is frozen in here and goes on in another place, at another time."""
        if self._config.before_checkpoint_path is not None:
            call_hook(self._app, self._config.before_checkpoint_path)
        # No connection may be open in the snapshot: its other end will be gone.
        self._app.drop_connection()
        self._api.restore_next(self._stopped)
        if self._stopped():
            return
        try:
            if self._config.after_restore_path is not None:
                call_hook(self._app, self._config.after_restore_path)
            self._wait_until_ready(self._config.readiness_timeout)
        except StartError as error:
            self._log.error(f"the restore failed: {error}")
            self._api.send_restore_error(error)
            raise RuntimeApiError(f"the restore failed: {error}") from error

    def _take_invocations(self) -> None:
        if self._config.max_concurrency == 1:
            self._serve(self._api, self._app, self._stopped)
            return
        from adapter.runtime.slots import Slots  # one slot does without

        slots = Slots(wake_up=self._signals.fileno(), stopped=self._stopped, hurried=self._is_told_to_end)
        self._pause, self._connect, self._connect_to_app = slots.pause, slots.connect, slots.connect_to_app
        slots.run(
            self._serve_slot,
            count=self._config.max_concurrency,
            grace=SHUTDOWN_GRACE + _LAST_ANSWERS,
            final_grace=_LAST_ANSWERS,
        )

    def _serve_slot(self) -> None:
        address = _runtime_api_address(self._config)
        api = RuntimeApiClient(address, wake_up=self._signals.fileno(), connect=self._connect)
        app = App(self._config, self._port, connect=self._connect_to_app)
        try:
            # A slot must not take a wake-up off the pipe: it is for all of them.
            self._serve(api, app, self._is_over)
        except AdapterError as error:
            if self._failure is None:
                self._fail(error)
                self._signals.wake()
        finally:
            # Servers wait for connections that are open, also for one that nobody will use again.
            app.drop_connection()

    def _serve(self, api: RuntimeApiClient, app: App, stopped: Callable[[], bool]) -> None:
        """Take one invocation after the other until the end is announced."""
        relay = InvocationRelay(self._config, api=api, app=app, log=self._log)
        while not self._is_over():
            invocation = api.next(stopped=stopped, wait=self._pause)
            if invocation is None:
                return
            try:
                if not self._ready:
                    self._wait_until_ready(self._config.readiness_timeout)
                failure = relay.invoke(invocation)
                broke_off = isinstance(failure, (AppUnreachable, TruncatedResponse))
                if broke_off and self._process is not None and not self._is_over():
                    # An app that dies closes its connections first; the next invocation is not for a dead one.
                    self._pause(_LAST_BREATH)
            except StartError as error:
                relay.fail(invocation, error)
            except RuntimeApiError as error:
                # Lambda ended the invocation itself (a timeout, for example); its next one is not affected.
                self._log.error(str(error), requestId=invocation.request_id)
            except Exception:
                self._report_fault(api, invocation)

    def _report_fault(self, api: RuntimeApiClient, invocation: Invocation) -> None:
        """End an invocation that an unforeseen exception got in the way of; the next one is not affected."""
        from traceback import format_exc  # only a fault needs it

        self._log.error(f"a fault of the adapter: {format_exc()}", requestId=invocation.request_id)
        # Where a response has begun, Lambda refuses the error and the cut connection ends the invocation.
        api.close()
        api.send_error(invocation, AdapterError("a fault of the adapter; its log has the details"))

    def _stopped(self) -> bool:
        """Take note of what woke us: whether it is over."""
        self._signals.clear()
        return self._is_over()

    def _is_over(self) -> bool:
        """Whether the end was announced or there is nothing left to serve."""
        return self._signals.received is not None or self._failure is not None or self._exit_code() is not None

    def _is_told_to_end(self) -> bool:
        """Whether Lambda ends the environment in a moment; where only the app or /next failed, nobody hurries us."""
        return self._signals.received is not None

    def _exit_code(self) -> int | None:
        return None if self._process is None else self._process.exit_code()

    def _forward_signal(self, number: int) -> None:
        if self._process is not None:
            self._process.signal(number)

    def _check_app(self) -> None:
        """Raises AppExited when the app has ended while it was waited for."""
        code = self._exit_code()
        if code is not None and self._process is not None:
            said = self._process.last_lines()
            hint = "" if code else " (a command that puts a server into the background cannot be followed)"
            # The last line is where a traceback has its cause.
            cause = said.rpartition("\n")[2]
            words = f": {cause}" + (f"\n{said}" if said != cause else "") if said else ""
            raise AppExited(f"the app ended with exit code {code} before it was ready{hint}{words}", exit_code=code)
        if self._signals.received is not None:
            raise AppNotReady("told to end before the app was ready")

    def _report_failed_init(self, error: StartError) -> None:
        # What the app said last is in the log already, and in the init error.
        self._log.error(f"{error.name}: {str(error).partition(chr(10))[0]}")
        try:
            self._api.send_init_error(error)
        except RuntimeApiError as failure:
            self._log.error(str(failure))

    def _shut_down(self) -> int:
        """End what was started; the process's exit code: the app's, unless ours has a reason of its own."""
        if self._process is None:
            return EXIT_OK if self._failure is None else EXIT_FAILURE
        if self._failure is None and self._signals.received is None:
            self._log.error(f"ending: the app ended with exit code {self._process.exit_code()}")
        if self._failure is not None and self._process.exit_code() is None:
            self._process.terminate()
        # Servers wait for connections that are open, also for one that nobody will use again.
        self._app.drop_connection()
        code = self._process.stop(SHUTDOWN_GRACE, self._signals.wait)
        if self._failure is None:
            return code
        return (isinstance(self._failure, AppExited) and code) or EXIT_FAILURE


def _runtime_api_address(config: Config) -> Address:
    """Where invocations come from; a proxy of it does not count for registering as an extension."""
    return config.runtime_api_proxy or _required(config.runtime_api)


def _required(address: Address | None) -> Address:
    assert address is not None, "there is a Runtime API"
    return address
