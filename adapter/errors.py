"""All errors that the adapter raises on purpose, with their meaning for Lambda and for HTTP clients.

    AdapterError
    ├── ConfigurationError      invalid settings: exit code 2, all mistakes at once
    ├── StartError              the init phase failed: posted to /init/error, then a non-zero exit
    │   ├── AppExited           the app exited before it was ready
    │   ├── AppNotReady         the app did not become ready in time
    │   └── HookFailed          a SnapStart hook of the app failed
    ├── InvocationError         one invocation failed: posted to /error, the runtime continues
    │   ├── InvalidEvent        the event cannot become an HTTP request
    │   ├── AppUnreachable      connecting to the app failed, or the app closed the connection before responding
    │   ├── AppTimeout          the app did not respond before the deadline
    │   ├── InvalidAppResponse  the app's response is not HTTP
    │   ├── TruncatedResponse   the app broke off its response within the body
    │   ├── AppErrorStatus      the app responded with a status in AWS_LWA_ERROR_STATUS_CODES
    │   └── ResponseTooLarge    the response exceeds a size limit
    ├── RefusedRequest          a client's request is not forwarded (proxy, emulator)
    ├── AppNotServing           the app is starting, or has exited (proxy)
    ├── InvalidFunctionResponse a front door cannot turn the function's response into HTTP (emulator)
    ├── InvokeFailed            the Invoke API cannot be reached (adapter invoke)
    ├── OutputFailed            stdout cannot be written to (command line)
    └── RuntimeApiError         the Runtime API cannot be reached, or refused a request

Code that calls a library translates the library's exceptions into these errors. ``name`` never changes, since
logs and error bodies contain it. ``lambda_type`` is the error type for Lambda: ``Runtime.`` or ``Function.`` and one
capitalized word, since Lambda replaces anything else with ``Runtime.Unknown``. ``status`` is the HTTP status for HTTP
clients.
"""

# The adapter's own exit codes: success, a failure, a mistake in the settings. 128 + n stands for signal n, as in a
# shell: SIGINT (Ctrl-C), and SIGPIPE (the reader of stdout has ended).
EXIT_OK, EXIT_FAILURE, EXIT_USAGE = 0, 1, 2
EXIT_INTERRUPTED, EXIT_READER_GONE = 130, 141
# The page that explains the names of errors. A line about a failed start has this text after the name.
ERRORS_PAGE = " (docs/errors.md)"
# The longest text of an error or of a log message, in characters. A long traceback fits, and so do an app's last lines.
TEXT_LIMIT = 8192


def bounded(text: str, limit: int = TEXT_LIMIT) -> str:
    """Return ``text``. If it is longer than ``limit`` characters, return its beginning, a note, and its end instead."""
    if len(text) <= limit:
        return text
    end = limit // 4
    return f"{text[: limit - end]}...({len(text) - limit} characters left out)...{text[-end:]}"


class AdapterError(Exception):
    """The base class of these errors. ``str(error)`` is the message: the cause, the invalid value and a remedy.

    The first line of the message can be understood alone. HTTP clients and callers of the Lambda function can influence
    the message, so its length is bounded.
    """

    name = "Adapter.Error"
    lambda_type = "Runtime.Unknown"
    status = 500

    def __init__(self, message: str = "") -> None:
        super().__init__(bounded(message))


class ConfigurationError(AdapterError):
    """Some settings are invalid. ``mistakes`` contains one line per mistake."""

    name = "Adapter.InvalidConfiguration"
    lambda_type = "Runtime.InvalidConfiguration"

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("; ".join(mistakes))
        self.mistakes = mistakes


class StartError(AdapterError):
    """The init phase failed."""

    name = "Adapter.StartFailed"
    lambda_type = "Runtime.InitError"
    status = 502


class AppExited(StartError):
    """The app exited before it was ready. ``exit_code`` is as in a shell: 128 + n for signal n."""

    name = "Adapter.AppExited"
    lambda_type = "Runtime.ExitError"

    def __init__(self, message: str, *, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class AppNotReady(StartError):
    """The readiness check did not pass in time."""

    name = "Adapter.AppNotReady"


class HookFailed(StartError):
    """A SnapStart hook of the app failed: ``BeforeCheckpoint`` or ``AfterRestore``."""

    name = "Adapter.HookFailed"


class InvocationError(AdapterError):
    """One invocation failed; the next one is unaffected."""

    name = "Adapter.InvocationFailed"
    lambda_type = "Function.InvocationFailed"
    status = 502


class InvalidEvent(InvocationError):
    """The event cannot become an HTTP request."""

    name = "Adapter.InvalidEvent"
    lambda_type = "Runtime.InvalidEvent"
    status = 400


class AppUnreachable(InvocationError):
    """Connecting to the app failed, or the app closed the connection before responding.

    ``waited`` is how long the adapter waited for a restart of the app, in seconds. ``connect_error`` is the
    error of the failed attempt to connect, or None if the app closed the connection. The error is kept in an
    attribute, because compiled code does not set ``__cause__``.
    """

    name = "Adapter.AppUnreachable"
    lambda_type = "Function.AppUnreachable"

    def __init__(self, message: str, *, waited: float = 0.0, connect_error: OSError | None = None) -> None:
        super().__init__(message)
        self.waited = waited
        self.connect_error = connect_error


class AppTimeout(InvocationError):
    """The app did not respond before the deadline."""

    name = "Adapter.AppTimeout"
    lambda_type = "Function.AppTimeout"
    status = 504


class InvalidAppResponse(InvocationError):
    """The app's response is not HTTP/1."""

    name = "Adapter.InvalidAppResponse"
    lambda_type = "Function.InvalidAppResponse"


class TruncatedResponse(InvocationError):
    """The app broke off its response within the body."""

    name = "Adapter.TruncatedResponse"
    lambda_type = "Function.TruncatedResponse"


class AppErrorStatus(InvocationError):
    """The app responded with a status in ``AWS_LWA_ERROR_STATUS_CODES``."""

    name = "Adapter.AppErrorStatus"
    lambda_type = "Function.AppErrorStatus"


class ResponseTooLarge(InvocationError):
    """The response exceeds a size limit. ``lambda_type`` is the error type that Lambda itself uses in this case."""

    name = "Adapter.ResponseTooLarge"
    lambda_type = "Function.ResponseSizeTooLarge"


class RefusedRequest(AdapterError):
    """A client's request cannot be forwarded; ``status`` is the HTTP status of the answer."""

    name = "Adapter.RefusedRequest"
    status = 400

    def __init__(self, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class AppNotServing(AdapterError):
    """The app is not ready, or is restarting."""

    name = "Adapter.AppNotServing"
    status = 503


class InvalidFunctionResponse(AdapterError):
    """The front door cannot turn the function's response into HTTP."""

    name = "Adapter.InvalidFunctionResponse"
    lambda_type = "Runtime.InvalidResponse"
    status = 502


class InvokeFailed(AdapterError):
    """The Invoke API cannot be reached, or another server listens at its address."""

    name = "Adapter.InvokeFailed"


class OutputFailed(AdapterError):
    """Stdout cannot be written to. ``reader_gone`` is True if stdout is a pipe that its reader has closed."""

    name = "Adapter.OutputFailed"

    def __init__(self, message: str, *, reader_gone: bool) -> None:
        super().__init__(message)
        self.reader_gone = reader_gone


class RuntimeApiError(AdapterError):
    """The Runtime API cannot be reached, or refused a request."""

    name = "Adapter.RuntimeApiFailed"
    lambda_type = "Runtime.RuntimeApiFailed"
