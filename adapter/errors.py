"""Every error the adapter raises on purpose, and what each one means to the two worlds it is shown to.

    AdapterError
    ├── ConfigurationError      the user's settings: exit code 2, all mistakes at once
    ├── StartError              the init phase failed: posted to /init/error, then a non-zero exit
    │   ├── AppExited           the app ended before it was ready
    │   ├── AppNotReady         the app did not become ready in time
    │   └── HookFailed          a SnapStart hook of the app was refused
    ├── InvocationError         one invocation failed: posted to /error, the loop goes on
    │   ├── InvalidEvent        the event cannot become an HTTP request
    │   ├── AppUnreachable      no connection to the app, or none that lasted until its response head
    │   ├── AppTimeout          the app did not answer before the deadline
    │   ├── InvalidAppResponse  what the app sent is not HTTP
    │   ├── TruncatedResponse   the app ended its response before its body was complete
    │   ├── AppErrorStatus      a status that the user declared to be a failure
    │   └── ResponseTooLarge    more than a buffered response may hold
    ├── RefusedRequest          a client's request that is not forwarded (proxy)
    ├── AppNotServing           the app is starting, or gone (proxy)
    ├── InvalidFunctionResponse a Lambda response that no front door can turn into HTTP (emulator)
    ├── InvokeFailed            the Invoke API is not there (adapter invoke)
    └── RuntimeApiError         the Runtime API is gone, or refused a call

Libraries' exceptions are translated into these where they are called, nowhere else. ``name`` is ours and stable: it is
what logs and error bodies show. ``lambda_type`` is what Lambda accepts on the wire: ``Runtime.`` or ``Function.`` and
one capitalised word (anything else the sandbox rewrites to ``Runtime.Unknown``). ``status`` is the HTTP status where
HTTP is what the caller speaks.
"""

# Exit codes of the adapter's own: done, something failed, a mistake in the settings. 128 + n stands for signal n, as in
# a shell: SIGINT (Ctrl-C), and SIGPIPE (the reader of stdout is gone).
EXIT_OK, EXIT_FAILURE, EXIT_USAGE = 0, 1, 2
EXIT_INTERRUPTED, EXIT_READER_GONE = 130, 141


class AdapterError(Exception):
    """Base of all. ``str(error)`` is the cause, the value and the way out. Of several lines the first says it all."""

    name = "Adapter.Error"
    lambda_type = "Runtime.Unknown"
    status = 500


class ConfigurationError(AdapterError):
    """Settings that cannot be used. ``mistakes`` has one line for each of them."""

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
    """The app ended before it was ready. ``exit_code`` is the shell's: 128 + n for signal n."""

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
    """The event is not one that can be turned into an HTTP request."""

    name = "Adapter.InvalidEvent"
    lambda_type = "Runtime.InvalidEvent"
    status = 400


class AppUnreachable(InvocationError):
    """No connection to the app, or it closed before sending a response head."""

    name = "Adapter.AppUnreachable"
    lambda_type = "Function.AppUnreachable"


class AppTimeout(InvocationError):
    """The app did not answer before the deadline."""

    name = "Adapter.AppTimeout"
    lambda_type = "Function.AppTimeout"
    status = 504


class InvalidAppResponse(InvocationError):
    """What the app sent is not an HTTP/1 response."""

    name = "Adapter.InvalidAppResponse"
    lambda_type = "Function.InvalidAppResponse"


class TruncatedResponse(InvocationError):
    """The app ended its response before the body was complete."""

    name = "Adapter.TruncatedResponse"
    lambda_type = "Function.TruncatedResponse"


class AppErrorStatus(InvocationError):
    """The app answered with a status of ``AWS_LWA_ERROR_STATUS_CODES``."""

    name = "Adapter.AppErrorStatus"
    lambda_type = "Function.AppErrorStatus"


class ResponseTooLarge(InvocationError):
    """A response over the limit of its kind; the Lambda type is the one that Lambda itself reports."""

    name = "Adapter.ResponseTooLarge"
    lambda_type = "Function.ResponseSizeTooLarge"


class RefusedRequest(AdapterError):
    """A client's request that cannot be forwarded; ``status`` says what is wrong with it."""

    name = "Adapter.RefusedRequest"
    status = 400

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class AppNotServing(AdapterError):
    """The app is not ready, or is being started again."""

    name = "Adapter.AppNotServing"
    status = 503


class InvalidFunctionResponse(AdapterError):
    """A function's payload is not a response that the front door can turn into HTTP."""

    name = "Adapter.InvalidFunctionResponse"
    lambda_type = "Runtime.InvalidResponse"
    status = 502


class InvokeFailed(AdapterError):
    """The Invoke API cannot be reached, or something else is at its address."""

    name = "Adapter.InvokeFailed"


class RuntimeApiError(AdapterError):
    """The Runtime API cannot be reached or refused a call."""

    name = "Adapter.RuntimeApiFailed"
    lambda_type = "Runtime.RuntimeApiFailed"
