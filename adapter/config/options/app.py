"""Options of the app: its address, when it is ready, what it receives, and how its responses are relayed."""

from __future__ import annotations

from adapter.aws.limits import PASS_THROUGH_PATH
from adapter.config import parsers
from adapter.config.option import Option, OptionTable, optional

# The Rust adapter's default.
DEFAULT_APP_PORT = 8080
# The time that the app has to become ready, in seconds. The Rust adapter has no limit. With a limit, the
# adapter can report why the app is not ready.
READINESS_TIMEOUT = 120.0
# A connection to the app is reused for at most this many seconds after its last request. The Rust adapter's 4 s are too
# long, because popular servers close idle connections after a similar time (gunicorn: 2 s, uvicorn: 5 s). A request
# that is sent at that moment is lost.
APP_IDLE_TIMEOUT = 0.5


class AppOptions(OptionTable):
    """The address of the app, and how the app starts."""

    group = "app"

    app_host = Option(
        "The host that the app listens on. If the option is not set, the adapter tries 127.0.0.1, then ::1. The "
        "variable HOST is read only on Lambda.",
        parse=parsers.host,
        default="127.0.0.1",
        env=("AWS_LWA_HOST",),
        deprecated=("HOST",),
    )
    app_port = optional(
        "The app's port, which the app gets as the variable PORT. If the option is not set: a free port if CMD "
        f"contains {{port}}, else the adapter's own PORT, else {DEFAULT_APP_PORT}. 0: any free port, even if CMD does "
        "not contain {port}. auto (only in adapter dev): the port on which the app actually listens.",
        parse=parsers.app_port,
        default_text=f"`{{port}}`, `PORT`, `{DEFAULT_APP_PORT}`",
        env=("AWS_LWA_PORT",),
    )
    app_socket = optional("Connect to the app over this Unix socket instead of TCP.", parse=parsers.text("PATH"))
    app_dir = optional("Start CMD in this folder.", parse=parsers.text("DIR"), default_text="the current folder")
    app_idle_timeout = Option(
        "Reuse a connection to the app until it has been idle for this many seconds; 0: never reuse a connection.",
        parse=parsers.seconds,
        default=APP_IDLE_TIMEOUT,
        env=("AWS_LWA_POOL_IDLE_TIMEOUT_SECONDS",),
    )


class ReadinessOptions(OptionTable):
    """Options of the readiness check."""

    group = "readiness"

    readiness_protocol = Option(
        "How to check whether the app is ready: http (a GET request) or tcp (a connection).",
        parse=parsers.choice("http", "tcp"),
        default="http",
        env=("AWS_LWA_READINESS_CHECK_PROTOCOL",),
        deprecated=("READINESS_CHECK_PROTOCOL",),
    )
    readiness_port = optional(
        "The port to check.",
        parse=parsers.port,
        default_text="the app's port",
        env=("AWS_LWA_READINESS_CHECK_PORT",),
        deprecated=("READINESS_CHECK_PORT",),
    )
    readiness_path = Option(
        "The path of the GET request that checks whether the app is ready.",
        parse=parsers.path,
        default="/",
        env=("AWS_LWA_READINESS_CHECK_PATH",),
        deprecated=("READINESS_CHECK_PATH",),
    )
    readiness_status = Option(
        "The response statuses that mean that the app is ready.",
        parse=parsers.statuses,
        default=frozenset(range(100, 500)),
        default_text="100-499",
        env=("AWS_LWA_READINESS_CHECK_HEALTHY_STATUS",),
    )
    readiness_timeout = Option(
        "Give up if the app is not ready within this many seconds after its start or after a SnapStart restore.",
        parse=parsers.positive_seconds,
        default=READINESS_TIMEOUT,
        env=("AWS_LWA_READINESS_CHECK_TIMEOUT_SECONDS",),
    )
    async_init = Option(
        "If the app is not ready within Lambda's init phase of 10 s, let the first invocation wait for the app.",
        default=False,
        env=("AWS_LWA_ASYNC_INIT",),
        deprecated=("ASYNC_INIT",),
    )


class RequestOptions(OptionTable):
    """Options that change requests before the app gets them."""

    group = "requests"

    base_path = Option(
        "Remove this prefix once from the path of each request. The prefix /api changes the path /api/x to /x, and "
        "does not change /apis.",
        parse=parsers.base_path,
        default="",
        env=("AWS_LWA_REMOVE_BASE_PATH",),
        deprecated=("REMOVE_BASE_PATH",),
    )
    pass_through_path = Option(
        "Send each event that is not an HTTP request (SQS, SNS, S3 …) to this path of the app, with POST.",
        parse=parsers.path,
        default=PASS_THROUGH_PATH,
        env=("AWS_LWA_PASS_THROUGH_PATH",),
    )
    guard_pass_through = Option(
        "Answer 403 to clients that request --pass-through-path, in any spelling of this path.",
        default=False,
    )
    strip_forwarded = Option(
        "On Lambda: remove X-Forwarded-*, Forwarded, X-Real-IP and similar headers of requests; see docs/security.md.",
        default=False,
    )
    authorization_source = Option(
        "Move the value of this header to the Authorization header.",
        parse=parsers.header_name,
        default="",
        env=("AWS_LWA_AUTHORIZATION_SOURCE",),
    )


class ResponseOptions(OptionTable):
    """Options that change how responses of the app are relayed."""

    group = "responses"

    invoke_mode = optional(
        "Relay the app's response as a stream or as one buffered payload.",
        parse=parsers.choice("buffered", "response_stream"),
        default_text="`buffered` on Lambda, else `response_stream`",
        env=("AWS_LWA_INVOKE_MODE",),
    )
    compression = Option(
        "Compress responses with gzip, or with br or zstd if the package for it is installed. Lambda's function URLs "
        "undo the compression of streams.",
        default=False,
        env=("AWS_LWA_ENABLE_COMPRESSION",),
    )
    alb_cookies = Option(
        "For load balancers without multi-value headers: send only the last cookie, or all cookies (in headers with "
        "different spellings: set-cookie, Set-cookie …).",
        parse=parsers.choice("last", "all"),
        default="last",
    )
    error_statuses = Option[frozenset[int]](
        "Response statuses of the app that make the invocation fail.",
        parse=parsers.statuses,
        default=frozenset(),
        env=("AWS_LWA_ERROR_STATUS_CODES",),
    )
    binary_types = Option[tuple[str, ...]](
        "Media types that buffered responses always encode as base64.",
        parse=parsers.media_types,
        default=(),
        default_text="decided by a built-in table, then by the body",
    )
    text_types = Option[tuple[str, ...]](
        "Media types that buffered responses send as text if the body is valid UTF-8.",
        parse=parsers.media_types,
        default=(),
        default_text="decided by a built-in table, then by the body",
    )
