"""The life of the runtime: init, then invocations, then shutdown.

Each slot handles one invocation after another, and has its own connections to the Runtime API and to the app. If there
is only one slot, it waits in blocking system calls. Several slots (on Managed Instances) share a thread (``slots.py``).
"""

from __future__ import annotations

from adapter.app.process import ACTIONS, STOP
from adapter.app.readiness import ReadinessCheck
from adapter.aws.limits import MIB
from adapter.errors import (
    ERRORS_PAGE,
    EXIT_FAILURE,
    EXIT_OK,
    AdapterError,
    AppExited,
    AppNotReady,
    AppUnreachable,
    RuntimeApiError,
    StartError,
    TruncatedResponse,
)
from adapter.runtime.api_client import RuntimeApiClient
from adapter.runtime.app_client import AppClient, call_hook, wait_until_ready
from adapter.runtime.connection import Connection
from adapter.runtime.extension_client import register_extension
from adapter.runtime.invocation_relay import InvocationRelay, has_timed_out
from adapter.runtime.wakeup import Signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from adapter.app.job_control import JobControl
    from adapter.app.process import AppProcess
    from adapter.config.load import Config
    from adapter.logs import Log
    from adapter.net.address import Address
    from adapter.payload.messages import Invocation

# The time limits of the app's SnapStart hooks, in seconds. The hook before the checkpoint has the limit of the Rust
# adapter; the hook after the restore has Lambda's limit for a restore (Lambda, "SnapStart runtime hooks").
CHECKPOINT_TIMEOUT = 60.0
RESTORE_TIMEOUT = 10.0
# The time that the app has to end after SIGTERM, in seconds. Lambda kills the runtime about 0.3 s after the shutdown
# phase (2 s) has begun; the remaining time is for the last answer and for the interpreter's own exit.
SHUTDOWN_GRACE = 0.2
# The time after SHUTDOWN_GRACE in which slots report invocations that failed because the app ended, in seconds. If the
# app keeps connections open after that, slots get this time once more. This happens if a process outside of the app's
# group is still running, or if the adapter did not start the app.
_REPORT_GRACE = 0.03
# The time to wait for the exit of an app that has closed a connection too early, in seconds.
_EXIT_TIMEOUT = 0.05
# The time for which init probes the app with AWS_LWA_ASYNC_INIT, in seconds. Lambda's limit is 10 s.
ASYNC_INIT_LIMIT = 9.8
# The amount of freed memory that is kept for the next large body, in bytes: two events and their decoded bodies.
_KEPT_MEMORY = 32 * MIB
# Initialization types whose init may take longer than 10 s.
_UNBOUNDED_INIT = frozenset({"snap-start", "provisioned-concurrency", "lambda-managed-instances"})


class Runtime:
    """The custom runtime in front of the app at ``port``. ``process`` is None if the adapter did not start the app."""

    def __init__(self, config: Config, *, port: int, process: AppProcess | None, log: Log) -> None:
        self._config = config
        self._port = port
        self._readiness = ReadinessCheck(config, port, has_command=process is not None)
        if process is not None:
            self._readiness.watch(process.pid, process.command)
        self._process = process
        self._log = log
        self._job_control: JobControl | None = None
        if process is not None and config.foreground and config.is_in_dev:
            from adapter.app.job_control import JobControl  # only `adapter dev --debug` needs it

            self._job_control = JobControl(log.warning)
            self._job_control.lend(process)
        self._signals = Signals(self._forward_signal, grace=SHUTDOWN_GRACE, on_child=self._follow_stop)
        self._api = RuntimeApiClient(_runtime_api_address(config), wake_up=self._signals.fileno())
        self._app = AppClient(config, port, wait_for_restart=self._wait_for_restart)
        # The functions with which a slot pauses and connects. With several slots, ``_take_invocations`` replaces them.
        self._pause: Callable[[float], None] = self._signals.wait
        self._connect_to_app: Callable[[Address], Connection] = Connection
        # This connection stays open, without being read, until the process ends.
        self._extension: Connection | None = None
        self._ready = False
        self._start_warnings: set[str] = set()
        self._failure: AdapterError | None = None
        # True if the last invocation failed because of Lambda's timeout, which may also end the app.
        self._has_timed_out = False

    def run(self) -> int:
        """Run from init to shutdown, and return the process's exit code."""
        _keep_freed_memory()
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
        code = self._shut_down()
        self._signals.cancel_alarm()
        return code

    def _fail(self, error: AdapterError) -> None:
        self._log.error(f"the runtime ends: {error}")
        self._failure = error

    def _register(self) -> None:
        try:
            self._extension = register_extension(_required(self._config.runtime_api), self._config.extension_name)
        except (RuntimeApiError, OSError) as error:
            self._log.warning(
                f"the runtime is not registered as an extension ({error}), so Lambda will end the runtime without "
                "SIGTERM"
            )

    def _start(self) -> None:
        """Run the init phase: wait until the app is ready and, with SnapStart, until the restore is complete.

        With AWS_LWA_ASYNC_INIT, this may return before the app is ready.
        """
        initialization_type = self._config.initialization_type
        if self._config.async_init and initialization_type in _UNBOUNDED_INIT:
            self._log.warning(
                f"AWS_LWA_ASYNC_INIT has no effect with the initialization type {initialization_type}, since Lambda "
                "allows more than 10 s for this type of init"
            )
        if self._config.async_init and initialization_type not in _UNBOUNDED_INIT:
            try:
                self._wait_until_ready(min(ASYNC_INIT_LIMIT, self._config.readiness_timeout))
            except AppNotReady:
                self._log.info("the app is not ready yet; the first invocation waits for it")
        else:
            self._wait_until_ready(self._config.readiness_timeout)
        if initialization_type == "snap-start":
            self._checkpoint_and_restore()

    def _wait_until_ready(self, timeout: float) -> None:
        wait_until_ready(
            self._readiness,
            timeout,
            pause=self._pause,
            warn=self._warn_of_slow_start,
            check_process=self._check_process,
            connect=self._connect_to_app,
        )
        if self._readiness.follows:
            self._port = self._readiness.address.current.port
            self._app.follow(self._readiness.address)
        self._ready = True

    def _warn_of_slow_start(self, line: str) -> None:
        """Log ``line`` if it has not been logged yet. With AWS_LWA_ASYNC_INIT, several slots may pass the same line."""
        if line not in self._start_warnings:
            self._start_warnings.add(line)
            self._log.warning(line)

    def _checkpoint_and_restore(self) -> None:
        """Let SnapStart take its snapshot. Return after the restore, or early if the runtime has to end."""
        if self._config.before_checkpoint_path is not None:
            call_hook(self._app, self._config.before_checkpoint_path, CHECKPOINT_TIMEOUT)
        # No connection may be open in the snapshot: the other end will not exist after a restore.
        self._app.close()
        self._api.restore_next(self._should_stop)
        if self._should_stop():
            return
        try:
            if self._config.after_restore_path is not None:
                call_hook(self._app, self._config.after_restore_path, RESTORE_TIMEOUT)
            self._wait_until_ready(self._config.readiness_timeout)
        except StartError as error:
            self._log.error(f"the restore failed: {error}")
            self._api.send_restore_error(error)
            raise RuntimeApiError(f"the restore failed: {error}") from error

    def _take_invocations(self) -> None:
        if self._config.max_concurrency == 1:
            self._serve(self._api, self._app, self._should_stop)
            return
        from adapter.runtime.slots import Slots  # a single slot does not need it

        slots = Slots(wake_up=self._signals.fileno(), should_stop=self._should_stop, is_urgent=self._has_ending_signal)
        self._pause, self._connect_to_app = slots.pause, slots.connect_to_app
        slots.run(
            lambda: self._serve_slot(slots.connect),
            count=self._config.max_concurrency,
            app_grace=SHUTDOWN_GRACE + _REPORT_GRACE,
            report_grace=_REPORT_GRACE,
        )

    def _serve_slot(self, connect: Callable[[Address], Connection]) -> None:
        address = _runtime_api_address(self._config)
        api = RuntimeApiClient(address, wake_up=self._signals.fileno(), connect=connect)
        app = AppClient(self._config, self._port, connect=self._connect_to_app, wait_for_restart=self._wait_for_restart)
        try:
            # A slot must not clear the wake-up signal, since the signal is for all slots.
            self._serve(api, app, self._is_over)
        except AdapterError as error:
            if self._failure is None:
                self._fail(error)
                self._signals.wake()
        finally:
            # Many servers do not end until their open connections are closed.
            app.close()

    def _serve(self, api: RuntimeApiClient, app: AppClient, should_stop: Callable[[], bool]) -> None:
        """Relay one invocation after another until the runtime has to end."""
        relay = InvocationRelay(self._config, api=api, app=app, log=self._log)
        while not self._is_over():
            invocation = api.next(should_stop=should_stop, pause=self._pause)
            if invocation is None:
                return
            try:
                if not self._ready:
                    self._wait_until_ready(self._config.readiness_timeout)
                failure = relay.relay(invocation)
                self._has_timed_out = failure is not None and has_timed_out(invocation)
                broke_off = self._has_timed_out or isinstance(failure, (AppUnreachable, TruncatedResponse))
                if broke_off and self._process is not None and not self._is_over():
                    # An app that is ending closes its connections first. Such an app must not get the next invocation.
                    self._pause(_EXIT_TIMEOUT)
            except StartError as error:
                relay.fail(invocation, error)
            except RuntimeApiError as error:
                # Lambda ended the invocation itself; the next one is not affected.
                self._has_timed_out = has_timed_out(invocation)
                cause = "the invocation timed out: " if self._has_timed_out else ""
                self._log.error(f"{cause}{error}", requestId=invocation.request_id)
            except Exception:
                self._report_fault(api, invocation)

    def _report_fault(self, api: RuntimeApiClient, invocation: Invocation) -> None:
        """Log an unexpected exception, and end the invocation with an error. The next invocation is not affected."""
        from traceback import format_exc  # only an internal error needs it

        self._log.error(f"an internal error of the adapter: {format_exc()}", requestId=invocation.request_id)
        # If a response has begun, Lambda refuses the error, and the closed connection ends the invocation.
        api.close()
        api.send_error(invocation, AdapterError("an internal error of the adapter; the adapter's log has the details"))

    def _should_stop(self) -> bool:
        """Clear the wake-up signal. Return whether the runtime has to end."""
        self._signals.clear()
        return self._is_over()

    def _is_over(self) -> bool:
        """Return whether the runtime has to end: after a signal in ENDING, its own failure, or the end of the app."""
        return self._signals.received is not None or self._failure is not None or self._exit_code() is not None

    def _wait_for_restart(self, seconds: float) -> bool:
        """Pause for ``seconds``. Return False if the app has ended or this process has to end."""
        self._pause(seconds)
        return not self._is_over()

    def _has_ending_signal(self) -> bool:
        """Return whether a signal in ENDING has arrived. Soon after such a signal, Lambda kills this process."""
        return self._signals.received is not None

    def _exit_code(self) -> int | None:
        return None if self._process is None else self._process.exit_code()

    def _forward_signal(self, number: int) -> None:
        if ACTIONS.get(number) == STOP:
            from adapter.app.job_control import JobControl  # only this signal needs it

            (self._job_control or JobControl(self._log.warning)).suspend(self._process)
        elif self._process is not None:
            self._process.pass_on(number, self._log.warning)

    def _follow_stop(self) -> None:
        """If Ctrl-Z has suspended the app, suspend this process as well.

        This is needed only with ``adapter dev --debug``, which gives the terminal to the app. ``adapter dev`` then
        notices that this process is suspended, and suspends the whole job.
        """
        if self._job_control is not None and self._process is not None:
            self._job_control.follow_stops(self._process)
            # If the app has ended meanwhile, ``follow_stops`` may have consumed the signal that wakes this process up.
            self._signals.wake()

    def _check_process(self) -> None:
        """Raise AppExited if the app has ended, or AppNotReady if this process has to end."""
        code = self._exit_code()
        if code is not None and self._process is not None:
            from adapter.app.exit_report import failed_start_text  # only a failure needs it

            stderr = self._process.stderr_tail()
            text = failed_start_text(code, stderr, self._process.command)
            raise AppExited(text if text.endswith(stderr) else f"{text}\n{stderr}", exit_code=code)
        if self._signals.received is not None:
            raise AppNotReady("a signal ended the runtime before the app was ready")

    def _report_failed_init(self, error: StartError) -> None:
        # Without the app's last lines, which are already in the log and also in the init error.
        self._log.error(f"{error.name}{ERRORS_PAGE}: {str(error).partition(chr(10))[0]}")
        try:
            self._api.send_init_error(error)
        except RuntimeApiError as failure:
            self._log.error(str(failure))

    def _shut_down(self) -> int:
        """End the app. Return the exit code of this process.

        This is EXIT_FAILURE if the runtime itself has failed, else the app's exit code.
        """
        if self._process is None:
            return EXIT_OK if self._failure is None else EXIT_FAILURE
        if self._failure is None and self._signals.received is None:
            from adapter.app.exit_report import exit_text  # only a failure needs it

            cause = "the invocation timed out, and " if self._has_timed_out else ""
            self._log.error(f"the runtime ends: {cause}the app ended with {exit_text(self._process.exit_code() or 0)}")
        if self._failure is not None and self._process.exit_code() is None:
            self._process.terminate()
        # Many servers do not end until their open connections are closed.
        self._app.close()
        code = self._process.stop(SHUTDOWN_GRACE, self._signals.wait)
        if self._failure is None:
            return code
        return (isinstance(self._failure, AppExited) and code) or EXIT_FAILURE


def _keep_freed_memory() -> None:
    """Allocate a large block and free it, so that glibc keeps up to _KEPT_MEMORY bytes of freed memory from then on.

    When glibc frees a mapped block, it raises the limit of the memory that it keeps to twice the block's size
    (mallopt(3), M_MMAP_THRESHOLD). This block takes no memory, since nothing is written to it.

    With a lower limit, glibc may return the memory of a large body to the system after each invocation. Getting the
    memory back would take as long as the rest of the invocation, because of a page fault for every 4 KiB.
    """
    bytes(_KEPT_MEMORY // 2)


def _runtime_api_address(config: Config) -> Address:
    """Return the address to get invocations from: a proxy of the Runtime API if one is set, else the Runtime API."""
    return config.runtime_api_proxy or _required(config.runtime_api)


def _required(address: Address | None) -> Address:
    assert address is not None, "AWS_LAMBDA_RUNTIME_API must be set on Lambda"
    return address
