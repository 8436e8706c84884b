"""Options of the app itself: where it is, when it is ready, what it gets and how its responses are relayed."""

from __future__ import annotations

from adapter.config import parsers
from adapter.config.option import Option, OptionTable

# How long the app may take until it is ready, in seconds. The Rust adapter waits for ever; a bound shows the cause.
READINESS_TIMEOUT = 120.0
# How long a connection to the app may have been idle and still be used again, in seconds. The Rust adapter says 4, but
# popular servers (gunicorn: 2 s, uvicorn: 5 s) close theirs in that time, and a request that meets the close is lost.
APP_IDLE_TIMEOUT = 0.5


class AppOptions(OptionTable):
    """They mean the same in every way in. Plain HTTP has no use for those about events and payloads."""

    # --- the app ---------------------------------------------------------------------------------------------------
    app_host = Option(
        "The host where the app listens. (HOST counts on Lambda only.)",
        parse=parsers.host,
        default="127.0.0.1",
        env=("AWS_LWA_HOST",),
        deprecated=("HOST",),
        group="app",
    )
    app_port = Option[int | None](
        "The app's port. Else a free one where {port} occurs in CMD, else PORT, else 8080. The app gets it as PORT.",
        parse=parsers.port,
        default=None,
        default_text="`{port}`, `PORT`, `8080`",
        env=("AWS_LWA_PORT",),
        group="app",
    )
    app_socket = Option[str | None](
        "Reach the app over this Unix socket instead of TCP.",
        parse=parsers.text,
        default=None,
        env=("ADAPTER_APP_SOCKET",),
        metavar="PATH",
        group="app",
    )
    app_dir = Option[str | None](
        "Start CMD in this folder.",
        parse=parsers.text,
        default=None,
        default_text="the current one",
        env=("ADAPTER_APP_DIR",),
        metavar="DIR",
        group="app",
    )
    app_idle_timeout = Option(
        "Use a connection to the app again if its last request is less than this many seconds old; 0: never.",
        parse=parsers.seconds,
        default=APP_IDLE_TIMEOUT,
        env=("AWS_LWA_POOL_IDLE_TIMEOUT_SECONDS",),
        group="app",
    )

    # --- readiness -------------------------------------------------------------------------------------------------
    readiness_protocol = Option(
        "How to ask whether the app is ready: http (a GET) or tcp (a connection).",
        parse=parsers.choice("http", "tcp"),
        default="http",
        env=("AWS_LWA_READINESS_CHECK_PROTOCOL",),
        deprecated=("READINESS_CHECK_PROTOCOL",),
        metavar="http|tcp",
        group="readiness",
    )
    readiness_port = Option[int | None](
        "Ask on this port.",
        parse=parsers.port,
        default=None,
        default_text="the app's",
        env=("AWS_LWA_READINESS_CHECK_PORT",),
        deprecated=("READINESS_CHECK_PORT",),
        group="readiness",
    )
    readiness_path = Option(
        "Ask for this path.",
        parse=parsers.path,
        default="/",
        env=("AWS_LWA_READINESS_CHECK_PATH",),
        deprecated=("READINESS_CHECK_PATH",),
        group="readiness",
    )
    readiness_status = Option(
        "The statuses that mean ready.",
        parse=parsers.statuses,
        default=parsers.statuses("100-499"),
        default_text="100-499",
        env=("AWS_LWA_READINESS_CHECK_HEALTHY_STATUS",),
        group="readiness",
    )
    readiness_timeout = Option(
        "Give up when the app is not ready after this many seconds, at cold start and after a restore.",
        parse=parsers.positive_seconds,
        default=READINESS_TIMEOUT,
        env=("AWS_LWA_READINESS_CHECK_TIMEOUT_SECONDS",),
        group="readiness",
    )
    async_init = Option(
        "Let a slow app finish starting within the first invocation, instead of failing Lambda's 10 s init.",
        parse=parsers.boolean,
        default=False,
        env=("AWS_LWA_ASYNC_INIT",),
        deprecated=("ASYNC_INIT",),
        group="readiness",
    )

    # --- requests --------------------------------------------------------------------------------------------------
    base_path = Option(
        "Remove this leading path, once and on a segment boundary, before the app sees the request.",
        parse=parsers.base_path,
        default="",
        env=("AWS_LWA_REMOVE_BASE_PATH",),
        deprecated=("REMOVE_BASE_PATH",),
        group="requests",
    )
    pass_through_path = Option(
        "POST events that are not HTTP requests (SQS, SNS, S3 …) to this path.",
        parse=parsers.path,
        default="/events",
        env=("AWS_LWA_PASS_THROUGH_PATH",),
        group="requests",
    )
    authorization_source = Option(
        "Move the value of this header to Authorization.",
        parse=parsers.header_name,
        default="",
        env=("AWS_LWA_AUTHORIZATION_SOURCE",),
        metavar="HEADER",
        group="requests",
    )

    # --- responses -------------------------------------------------------------------------------------------------
    invoke_mode = Option[str | None](
        "Relay the app's response as a stream or as one buffered payload.",
        parse=parsers.choice("buffered", "response_stream"),
        default=None,
        default_text="`buffered` on Lambda, else `response_stream`",
        env=("AWS_LWA_INVOKE_MODE",),
        metavar="buffered|response_stream",
        group="responses",
    )
    compression = Option(
        "Compress responses (gzip; br and zstd where installed), streamed ones piece by piece.",
        parse=parsers.boolean,
        default=False,
        env=("AWS_LWA_ENABLE_COMPRESSION",),
        group="responses",
    )
    error_statuses = Option[frozenset[int]](
        "Statuses of the app that fail the invocation.",
        parse=parsers.statuses,
        default=frozenset(),
        default_text="none",
        env=("AWS_LWA_ERROR_STATUS_CODES",),
        group="responses",
    )
    binary_types = Option[tuple[str, ...]](
        "Media types that a buffered response always carries as base64.",
        parse=parsers.media_types,
        default=(),
        default_text="by a table, then by content",
        env=("ADAPTER_BINARY_TYPES",),
        group="responses",
    )
    text_types = Option[tuple[str, ...]](
        "Media types that a buffered response carries as text, if they are valid UTF-8.",
        parse=parsers.media_types,
        default=(),
        default_text="by a table, then by content",
        env=("ADAPTER_TEXT_TYPES",),
        group="responses",
    )
