"""Every option there is, declared once: flags, variables, ``--help`` and the tables in the docs derive from ``Config``.

An option's text comes from its flag, else from the first of its variables that is set (an empty one counts as unset),
else its default holds. All texts are parsed before anything is reported, so that one run shows every mistake; a typo
never becomes a default. Only this module reads the environment.

On Lambda this module is imported before the app is started, so it must stay cheap: no regular expressions, no enums.
"""

from __future__ import annotations

import os

from adapter import parse
from adapter.errors import ConfigurationError
from adapter.option import Option
from adapter.throttle import LAMBDA_BANDWIDTH, Bandwidth

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any, ClassVar

OWN_PREFIX = "ADAPTER_"
RUST_ADAPTER_PREFIX = "AWS_LWA_"

# Variables of the Rust adapter that are gone, and what took their place.
_REMOVED = {
    "AWS_LWA_READINESS_CHECK_MIN_UNHEALTHY_STATUS": (
        "was removed; list the healthy statuses in AWS_LWA_READINESS_CHECK_HEALTHY_STATUS, for example 100-499"
    ),
}

# How long the app may take until it is ready, in seconds. The Rust adapter waits for ever; a bound shows the cause.
READINESS_TIMEOUT = 120.0
# How long a connection to the app may have been idle and still be used again, in seconds. The Rust adapter says 4, but
# popular servers (gunicorn: 2 s, uvicorn: 5 s) close theirs in that time, and a request that meets the close is lost.
APP_IDLE_TIMEOUT = 0.5


class Config:
    """The settings of one process, read once and frozen.

    ``sources`` tells where each value came from: a flag, a variable, or ``default``. ``texts`` are the texts as they
    were given, to hand options on to another process. ``warnings`` are lines for the log. On Lambda there are no flags:
    configuration is environment only.
    """

    options: ClassVar[dict[str, Option[Any]]] = {}

    # --- the app ---------------------------------------------------------------------------------------------------
    app_host = Option(
        "The host where the app listens. (HOST counts on Lambda only.)",
        parse=parse.host,
        default="127.0.0.1",
        env=("AWS_LWA_HOST",),
        deprecated=("HOST",),
        group="app",
    )
    app_port = Option[int | None](
        "The app's port. Else a free one where {port} occurs in CMD, else PORT, else 8080. The app gets it as PORT.",
        parse=parse.port,
        default=None,
        default_text="`{port}`, `PORT`, `8080`",
        env=("AWS_LWA_PORT",),
        group="app",
    )
    app_socket = Option[str | None](
        "Reach the app over this Unix socket instead of TCP.",
        parse=parse.text,
        default=None,
        env=("ADAPTER_APP_SOCKET",),
        metavar="PATH",
        group="app",
    )
    app_dir = Option[str | None](
        "Start CMD in this folder.",
        parse=parse.text,
        default=None,
        default_text="the current one",
        env=("ADAPTER_APP_DIR",),
        metavar="DIR",
        group="app",
    )
    app_idle_timeout = Option(
        "Use a connection to the app again if its last request is less than this many seconds old; 0: never.",
        parse=parse.seconds,
        default=APP_IDLE_TIMEOUT,
        env=("AWS_LWA_POOL_IDLE_TIMEOUT_SECONDS",),
        group="app",
    )

    # --- readiness -------------------------------------------------------------------------------------------------
    readiness_protocol = Option(
        "How to ask whether the app is ready: http (a GET) or tcp (a connection).",
        parse=parse.choice("http", "tcp"),
        default="http",
        env=("AWS_LWA_READINESS_CHECK_PROTOCOL",),
        deprecated=("READINESS_CHECK_PROTOCOL",),
        metavar="http|tcp",
        group="readiness",
    )
    readiness_port = Option[int | None](
        "Ask on this port.",
        parse=parse.port,
        default=None,
        default_text="the app's",
        env=("AWS_LWA_READINESS_CHECK_PORT",),
        deprecated=("READINESS_CHECK_PORT",),
        group="readiness",
    )
    readiness_path = Option(
        "Ask for this path.",
        parse=parse.path,
        default="/",
        env=("AWS_LWA_READINESS_CHECK_PATH",),
        deprecated=("READINESS_CHECK_PATH",),
        group="readiness",
    )
    readiness_status = Option(
        "The statuses that mean ready.",
        parse=parse.statuses,
        default=parse.statuses("100-499"),
        default_text="100-499",
        env=("AWS_LWA_READINESS_CHECK_HEALTHY_STATUS",),
        group="readiness",
    )
    readiness_timeout = Option(
        "Give up when the app is not ready after this many seconds, at cold start and after a restore.",
        parse=parse.positive_seconds,
        default=READINESS_TIMEOUT,
        env=("AWS_LWA_READINESS_CHECK_TIMEOUT_SECONDS",),
        group="readiness",
    )
    async_init = Option(
        "Let a slow app finish starting within the first invocation, instead of failing Lambda's 10 s init.",
        parse=parse.boolean,
        default=False,
        env=("AWS_LWA_ASYNC_INIT",),
        deprecated=("ASYNC_INIT",),
        group="readiness",
    )

    # --- requests --------------------------------------------------------------------------------------------------
    base_path = Option(
        "Remove this leading path, once and on a segment boundary, before the app sees the request.",
        parse=parse.base_path,
        default="",
        env=("AWS_LWA_REMOVE_BASE_PATH",),
        deprecated=("REMOVE_BASE_PATH",),
        group="requests",
    )
    pass_through_path = Option(
        "POST events that are not HTTP requests (SQS, SNS, S3 …) to this path.",
        parse=parse.path,
        default="/events",
        env=("AWS_LWA_PASS_THROUGH_PATH",),
        group="requests",
    )
    authorization_source = Option(
        "Move the value of this header to Authorization.",
        parse=parse.header_name,
        default="",
        env=("AWS_LWA_AUTHORIZATION_SOURCE",),
        metavar="HEADER",
        group="requests",
    )

    # --- responses -------------------------------------------------------------------------------------------------
    invoke_mode = Option[str | None](
        "Relay the app's response as a stream or as one buffered payload.",
        parse=parse.choice("buffered", "response_stream"),
        default=None,
        default_text="`buffered` on Lambda, else `response_stream`",
        env=("AWS_LWA_INVOKE_MODE",),
        metavar="buffered|response_stream",
        group="responses",
    )
    compression = Option(
        "Compress responses (gzip; br and zstd where installed), streamed ones piece by piece.",
        parse=parse.boolean,
        default=False,
        env=("AWS_LWA_ENABLE_COMPRESSION",),
        group="responses",
    )
    error_statuses = Option[frozenset[int]](
        "Statuses of the app that fail the invocation.",
        parse=parse.statuses,
        default=frozenset(),
        default_text="none",
        env=("AWS_LWA_ERROR_STATUS_CODES",),
        group="responses",
    )
    binary_types = Option[tuple[str, ...]](
        "Media types that a buffered response always carries as base64.",
        parse=parse.media_types,
        default=(),
        default_text="by a table, then by content",
        env=("ADAPTER_BINARY_TYPES",),
        group="responses",
    )
    text_types = Option[tuple[str, ...]](
        "Media types that a buffered response carries as text, if they are valid UTF-8.",
        parse=parse.media_types,
        default=(),
        default_text="by a table, then by content",
        env=("ADAPTER_TEXT_TYPES",),
        group="responses",
    )

    # --- on Lambda -------------------------------------------------------------------------------------------------
    way_in = Option(
        "Take invocations from Lambda's Runtime API or as plain HTTP; auto: from the Runtime API where there is one.",
        parse=parse.choice("auto", "runtime", "proxy"),
        default="auto",
        env=("ADAPTER_AS",),
        flag="--as",
        metavar="auto|runtime|proxy",
        group="lambda",
    )
    deadline_margin = Option[float | None](
        "Give up on the app this many seconds before the invocation's deadline.",
        parse=parse.seconds,
        default=None,
        default_text="Lambda's own timeout",
        env=("ADAPTER_DEADLINE_MARGIN",),
        group="lambda",
    )
    before_checkpoint_path = Option[str | None](
        "SnapStart: POST to this path of the app before the snapshot is taken.",
        parse=parse.path,
        default=None,
        env=("AWS_LWA_SNAPSTART_BEFORE_CHECKPOINT_PATH",),
        group="lambda",
    )
    after_restore_path = Option[str | None](
        "SnapStart: POST to this path of the app after a restore.",
        parse=parse.path,
        default=None,
        env=("AWS_LWA_SNAPSTART_AFTER_RESTORE_PATH",),
        group="lambda",
    )
    extension_name = Option(
        "Register as this extension, so that SIGTERM arrives. As a file in /opt/extensions: the file's name.",
        parse=parse.text,
        default="web-adapter",
        env=("ADAPTER_EXTENSION_NAME",),
        metavar="NAME",
        group="lambda",
    )
    runtime_api_proxy = Option[str | None](
        "Take invocations from this address instead of AWS_LAMBDA_RUNTIME_API.",
        parse=parse.host_and_port,
        default=None,
        env=("AWS_LWA_LAMBDA_RUNTIME_API_PROXY",),
        group="lambda",
    )

    # --- the cap on streams, of adapter dev and of the proxy -------------------------------------------------------
    bandwidth = Option[Bandwidth | None](
        "The cap on each streamed response: lambda (6 MB at once, then 2 MB/s), unlimited, or BURST+RATE.",
        parse=parse.bandwidth,
        default=LAMBDA_BANDWIDTH,
        default_text="`lambda`",
        env=("ADAPTER_BANDWIDTH",),
        metavar="lambda|unlimited|BURST+RATE",
        group="streams",
    )
    stream_limit = Option[int | None](
        "The most bytes of a streamed body: 20mb (until July 2025), 200mb, none, or any size.",
        parse=parse.stream_limit,
        default=None,
        default_text="`200mb` in dev, `none` in the proxy",
        env=("ADAPTER_STREAM_LIMIT",),
        group="streams",
    )
    # --- the proxy -------------------------------------------------------------------------------------------------
    listen = Option[str | None](
        "Take plain HTTP on this address.",
        parse=parse.listen_address,
        default=None,
        default_text="`0.0.0.0:$PORT` if PORT is not the app's, else `127.0.0.1:9000`",
        env=("ADAPTER_LISTEN",),
        group="proxy",
    )
    admin = Option[str | None](
        "Answer /healthz, /readyz and /metrics on this address.",
        parse=parse.listen_address,
        default=None,
        default_text="off",
        env=("ADAPTER_ADMIN",),
        group="proxy",
    )
    total_bandwidth = Option[Bandwidth | None](
        "One cap for all streams together: unlimited, or BURST+RATE.",
        parse=parse.bandwidth,
        default=None,
        default_text="`unlimited`",
        env=("ADAPTER_TOTAL_BANDWIDTH",),
        metavar="unlimited|BURST+RATE",
        group="proxy",
    )
    trusted_proxies = Option[tuple[str, ...]](
        "Believe X-Forwarded-* and Forwarded from these addresses.",
        parse=parse.networks,
        default=(),
        default_text="none",
        env=("ADAPTER_TRUSTED_PROXIES",),
        group="proxy",
    )
    max_connections = Option[int | None](
        "Beyond this many connections those without a request are closed; if there are none, answer 503.",
        parse=parse.positive_integer,
        default=None,
        default_text="what descriptors allow",
        env=("ADAPTER_MAX_CONNECTIONS",),
        group="proxy",
    )
    request_timeout = Option[float | None](
        "Answer 504 when the app has not begun to answer after this many seconds.",
        parse=parse.positive_seconds,
        default=None,
        default_text="no limit",
        env=("ADAPTER_REQUEST_TIMEOUT",),
        group="proxy",
    )
    idle_timeout = Option[float | None](
        "Break off a response when the app sends nothing for this many seconds.",
        parse=parse.positive_seconds,
        default=None,
        default_text="no limit",
        env=("ADAPTER_IDLE_TIMEOUT",),
        group="proxy",
    )
    client_timeout = Option(
        "Break off when a client that is waited for neither takes nor sends anything for this many seconds.",
        parse=parse.positive_seconds,
        default=60.0,
        env=("ADAPTER_CLIENT_TIMEOUT",),
        group="proxy",
    )
    grace = Option(
        "How many seconds streams may take to finish after SIGTERM.",
        parse=parse.seconds,
        default=8.0,
        env=("ADAPTER_GRACE",),
        group="proxy",
    )
    restart = Option(
        "Start the app again when it ends: never, on-failure or always.",
        parse=parse.choice("never", "on-failure", "always"),
        default="never",
        env=("ADAPTER_RESTART",),
        metavar="never|on-failure|always",
        group="proxy",
    )

    # --- logs ------------------------------------------------------------------------------------------------------
    log_format = Option(
        "Lines for people or for machines.",
        parse=parse.choice("text", "json"),
        default="text",
        env=("ADAPTER_LOG_FORMAT", "AWS_LAMBDA_LOG_FORMAT"),
        metavar="text|json",
        group="logs",
    )
    log_level = Option(
        "The least important lines to write.",
        parse=parse.choice("trace", "debug", "info", "warn", "error", "fatal"),
        default="info",
        env=("ADAPTER_LOG_LEVEL", "AWS_LAMBDA_LOG_LEVEL"),
        metavar="LEVEL",
        group="logs",
    )
    access_log = Option(
        "Write one line per invocation.",
        parse=parse.boolean,
        default=True,
        env=("ADAPTER_ACCESS_LOG",),
        group="logs",
    )

    # --- adapter dev -----------------------------------------------------------------------------------------------
    dev_host = Option(
        "The address of the front doors and the Invoke APIs; 0.0.0.0 for dev containers.",
        parse=parse.host,
        default="127.0.0.1",
        env=("ADAPTER_DEV_HOST",),
        flag="--host",
        group="dev",
    )
    dev_port = Option(
        "The port of the first front door; 0: any free one.",
        parse=parse.listen_port,
        default=3000,
        env=("ADAPTER_DEV_PORT",),
        flag="--port",
        group="dev",
    )
    url_invoke_mode = Option[str | None](
        "The own mode of a front door that can stream, to see what a mismatch with --invoke-mode does.",
        parse=parse.choice("buffered", "response_stream"),
        default=None,
        default_text="that of `--invoke-mode`",
        env=("ADAPTER_URL_INVOKE_MODE",),
        metavar="buffered|response_stream",
        group="dev",
    )
    timeout = Option(
        "The function's timeout in seconds.",
        parse=parse.positive_seconds,
        default=900.0,
        default_text="900",
        env=("ADAPTER_TIMEOUT",),
        group="dev",
    )
    warm = Option(
        "Start the app at once instead of on the first request.",
        parse=parse.boolean,
        default=False,
        env=("ADAPTER_WARM",),
        group="dev",
    )
    price_table = Option[str | None](
        "A JSON file of streaming prices to use instead of the built-in one.",
        parse=parse.text,
        default=None,
        default_text="built in",
        env=("ADAPTER_PRICE_TABLE",),
        metavar="FILE",
        group="dev",
    )

    front_doors = Option[tuple[tuple[str, int | None], ...]](
        "What stands in front of the function, several at once if you like; each gets the next free port or its own.",
        parse=parse.front_doors,
        default=(),
        default_text="`function-url`",
        env=("ADAPTER_FRONT_DOOR",),
        flag="--front-door",
        metavar="|".join(parse.FRONT_DOORS) + "[:PORT]",
        repeatable=True,
        group="dev",
    )
    invoke_port = Option[int | None](
        "The port of the Invoke APIs, for SDKs and the AWS CLI; 0: any free one.",
        parse=parse.listen_port,
        default=None,
        default_text="that of `--port` + 1: `3001`",
        env=("ADAPTER_INVOKE_PORT",),
        group="dev",
    )
    dev_function_name = Option[str | None](
        "The only function name that the Invoke APIs know.",
        parse=parse.text,
        default=None,
        default_text="any name will do",
        env=("ADAPTER_FUNCTION_NAME",),
        flag="--function-name",
        metavar="NAME",
        group="dev",
    )
    stage = Option(
        "The stage in the events of a REST API.",
        parse=parse.text,
        default="prod",
        env=("ADAPTER_STAGE",),
        metavar="NAME",
        group="dev",
    )
    resource = Option(
        "The resource of a REST API; a path that it does not cover is refused.",
        parse=parse.resource,
        default="/{proxy+}",
        env=("ADAPTER_RESOURCE",),
        metavar="PATH",
        group="dev",
    )
    rest_idle_timeout = Option(
        "Break off a stream of a REST API that is silent for so many seconds; edge-optimised APIs have 30.",
        parse=parse.positive_seconds,
        default=300.0,
        env=("ADAPTER_REST_IDLE_TIMEOUT",),
        group="dev",
    )
    retry_delay = Option(
        "How many seconds before the first retry of an asynchronous invocation; the second waits twice as long.",
        parse=parse.seconds,
        default=60.0,
        env=("ADAPTER_RETRY_DELAY",),
        group="dev",
    )
    faults = Option(
        "Let things go wrong: delay, throttle, kill, truncate, fill, drop, init; see docs/dev.md.",
        parse=parse.text,
        default="",
        env=("ADAPTER_FAULT",),
        flag="--fault",
        metavar="KIND[=AMOUNT][:RATE][@HEADER]",
        repeatable=True,
        group="dev",
    )
    fault_seed = Option(
        "Where the random numbers of faults start, so that a run can be repeated.",
        parse=parse.positive_integer,
        default=1,
        env=("ADAPTER_FAULT_SEED",),
        metavar="NUMBER",
        group="dev",
    )
    record = Option[str | None](
        "Write every invocation to a file in this folder, secrets included; adapter invoke FILE makes it again.",
        parse=parse.text,
        default=None,
        default_text="off",
        env=("ADAPTER_RECORD",),
        metavar="DIR",
        group="dev",
    )

    # --- adapter dev: the environments -----------------------------------------------------------------------------
    environments = Option(
        "The most execution environments at once, each started when it is needed; 1 where CMD has no {port}.",
        parse=parse.positive_integer,
        default=10,
        env=("ADAPTER_ENVIRONMENTS",),
        group="dev",
    )
    concurrency = Option(
        "Managed Instances: how many invocations an environment takes at once.",
        parse=parse.positive_integer,
        default=1,
        env=("ADAPTER_MAX_CONCURRENCY",),
        flag="--max-concurrency",
        group="dev",
    )
    provisioned = Option(
        "Provisioned concurrency: so many environments are there from the start, and stay.",
        parse=parse.count,
        default=0,
        env=("ADAPTER_PROVISIONED",),
        group="dev",
    )
    queue = Option(
        "Let invocations wait when all environments are busy; --no-queue: throttle them (429), as Lambda does.",
        parse=parse.boolean,
        default=True,
        env=("ADAPTER_QUEUE",),
        group="dev",
    )
    idle_reclaim = Option[float | None](
        "End an environment that was idle for this many seconds.",
        parse=parse.positive_seconds,
        default=None,
        default_text="never",
        env=("ADAPTER_IDLE_RECLAIM",),
        group="dev",
    )
    freeze = Option(
        "Stop every process of an environment between invocations, as Lambda does; Linux only.",
        parse=parse.boolean,
        default=False,
        env=("ADAPTER_FREEZE",),
        group="dev",
    )
    snapstart = Option(
        "SnapStart: environments are initialised, then restored when they are needed.",
        parse=parse.boolean,
        default=False,
        env=("ADAPTER_SNAPSTART",),
        group="dev",
    )
    memory = Option(
        "The function's memory in MB: it is told so, and a warning says when it has used more.",
        parse=parse.memory,
        default=1024,
        env=("ADAPTER_MEMORY",),
        metavar="MB",
        group="dev",
    )
    runtime = Option[str | None](
        "Start this command as the runtime, instead of the adapter with an app; no CMD then.",
        parse=parse.text,
        default=None,
        env=("ADAPTER_RUNTIME",),
        metavar="COMMAND",
        group="dev",
    )
    extensions = Option[str | None](
        "Start every executable file in this folder as an external extension.",
        parse=parse.text,
        default=None,
        default_text="none",
        env=("ADAPTER_EXTENSIONS",),
        metavar="DIR",
        group="dev",
    )
    env_file = Option[str | None](
        "Variables for the function, KEY=VALUE in each line; they count before those of the shell.",
        parse=parse.text,
        default=None,
        default_text="none",
        env=("ADAPTER_ENV_FILE",),
        metavar="FILE",
        group="dev",
    )
    reload = Option(
        "Start over when a file in the app's folder has changed; needs the extra `reload`.",
        parse=parse.boolean,
        default=False,
        env=("ADAPTER_RELOAD",),
        group="dev",
    )
    invocation_log = Option(
        "One line for each invocation, or the block that CloudWatch would show.",
        parse=parse.choice("line", "cloudwatch"),
        default="line",
        env=("ADAPTER_INVOCATION_LOG",),
        metavar="line|cloudwatch",
        group="dev",
    )

    # --- what only Lambda sets -------------------------------------------------------------------------------------
    runtime_api = Option[str | None](
        "Where Lambda's Runtime API is.",
        parse=parse.host_and_port,
        default=None,
        env=("AWS_LAMBDA_RUNTIME_API",),
        flag=None,
        group="platform",
    )
    max_concurrency = Option(
        "Managed Instances: how many invocations at once.",
        parse=parse.positive_integer,
        default=1,
        env=("AWS_LAMBDA_MAX_CONCURRENCY",),
        flag=None,
        group="platform",
    )
    initialization_type = Option(
        "Why this environment was made: on-demand, provisioned-concurrency, snap-start …",
        parse=parse.text,
        default="on-demand",
        env=("AWS_LAMBDA_INITIALIZATION_TYPE",),
        flag=None,
        group="platform",
    )
    function_name = Option(
        "The function's name.",
        parse=parse.text,
        default="",
        env=("AWS_LAMBDA_FUNCTION_NAME",),
        flag=None,
        group="platform",
    )
    function_version = Option(
        "The function's version.",
        parse=parse.text,
        default="",
        env=("AWS_LAMBDA_FUNCTION_VERSION",),
        flag=None,
        group="platform",
    )
    function_memory = Option(
        "The function's memory in MB.",
        parse=parse.text,
        default="",
        env=("AWS_LAMBDA_FUNCTION_MEMORY_SIZE",),
        flag=None,
        group="platform",
    )
    log_group = Option(
        "Where the function's lines go.",
        parse=parse.text,
        default="",
        env=("AWS_LAMBDA_LOG_GROUP_NAME",),
        flag=None,
        group="platform",
    )
    log_stream = Option(
        "Where this environment's lines go.",
        parse=parse.text,
        default="",
        env=("AWS_LAMBDA_LOG_STREAM_NAME",),
        flag=None,
        group="platform",
    )
    region = Option(
        "The region whose prices hold.",
        parse=parse.text,
        default="us-east-1",
        env=("AWS_REGION", "AWS_DEFAULT_REGION"),
        flag=None,
        group="platform",
    )
    container_port = Option[int | None](
        "The port that a platform assigned.",
        parse=parse.port,
        default=None,
        env=("PORT",),
        flag=None,
        group="platform",
    )

    def __init__(
        self, *, values: dict[str, Any], sources: dict[str, str], texts: dict[str, str], warnings: list[str]
    ) -> None:
        self.values = values
        self.sources = sources
        self.texts = texts
        self.warnings = warnings

    @property
    def on_lambda(self) -> bool:
        """Whether invocations come from a Runtime API."""
        return self.way_in == "runtime" or (self.way_in == "auto" and self.runtime_api is not None)


def load(environ: Mapping[str, str], flags: Mapping[str, str] | None = None) -> Config:
    """The settings that ``flags`` (option name → text) and then ``environ`` give.

    Raises ConfigurationError with every mistake there is.
    """
    config, mistakes = read(environ, flags)
    if mistakes:
        raise ConfigurationError(mistakes)
    return config


def read(environ: Mapping[str, str], flags: Mapping[str, str] | None = None) -> tuple[Config, list[str]]:
    """As ``load``, but the mistakes are given and not raised; a value that cannot be used is the option's default."""
    flags = flags or {}
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    texts: dict[str, str] = {}
    mistakes: list[str] = []
    warnings = list(_unknown_rust_adapter_variables(environ))
    for name, option in Config.options.items():
        source, text = _source(option, environ, flags)
        values[name] = option.default
        sources[name] = source
        if source in option.deprecated:
            warnings.append(f"{source} is deprecated; use {option.env[0]}")
        if text is not None:
            texts[name] = text
            try:
                values[name] = option.parse(text)
            except ValueError as error:
                mistakes.append(f"{source}: {text!r} {error}")
    config = Config(values=values, sources=sources, texts=texts, warnings=warnings)
    mistakes += _unknown_own_variables(environ)
    mistakes += [f"{name}: {hint}" for name, hint in _REMOVED.items() if name in environ]
    if not mistakes:
        mistakes += _contradictions(config)
    return config, mistakes


def is_on_lambda(environ: Mapping[str, str]) -> bool:
    """Whether invocations come from a Runtime API, as far as the environment alone tells."""
    way_in = environ.get("ADAPTER_AS", "auto").lower()
    return way_in == "runtime" or (way_in != "proxy" and bool(environ.get("AWS_LAMBDA_RUNTIME_API")))


def environment() -> dict[str, str]:
    """A copy of this process's environment."""
    return dict(os.environ)


def _source(option: Option[Any], environ: Mapping[str, str], flags: Mapping[str, str]) -> tuple[str, str | None]:
    """Where the option's text comes from, and the text; ``default`` and None where nobody set it."""
    if option.name in flags:
        return str(option.flag), flags[option.name]
    for variable in option.env + option.deprecated:
        # Shells and container platforms set HOST to the machine's own name; only Lambda's users mean the app by it.
        if variable == "HOST" and "AWS_LAMBDA_RUNTIME_API" not in environ:
            continue
        if environ.get(variable):
            return variable, environ[variable]
    return "default", None


def _contradictions(config: Config) -> Iterator[str]:
    """Values that are right by themselves and wrong together."""
    if config.way_in == "runtime" and config.runtime_api is None:
        yield (
            f"{config.sources['way_in']}: 'runtime' needs AWS_LAMBDA_RUNTIME_API, which Lambda sets; "
            "on this machine use adapter dev"
        )
    if config.app_socket is not None and config.app_port is not None:
        yield (
            f"{config.sources['app_socket']} and {config.sources['app_port']}: the app is reached over a Unix socket "
            "or a port, not both"
        )


def _unknown_own_variables(environ: Mapping[str, str]) -> Iterator[str]:
    known = _known_variables(OWN_PREFIX)
    for name in sorted(environ):
        if name.startswith(OWN_PREFIX) and name not in known and not _is_service_link(name, environ[name]):
            yield f"{name}: is not an option{_nearest(name, known)}"


def _is_service_link(name: str, value: str) -> bool:
    """Whether Kubernetes set the variable, as in every pod beside a Service whose name begins with "adapter"."""
    if "_SERVICE_HOST" in name or "_SERVICE_PORT" in name:
        return True
    return (name.endswith("_PORT") and "://" in value) or name.rpartition("_PORT_")[2][:1].isdigit()


def _unknown_rust_adapter_variables(environ: Mapping[str, str]) -> Iterator[str]:
    known = _known_variables(RUST_ADAPTER_PREFIX)
    for name in sorted(environ):
        if name.startswith(RUST_ADAPTER_PREFIX) and name not in known and name not in _REMOVED:
            yield f"{name} is not known and has no effect{_nearest(name, known)}"


def _known_variables(prefix: str) -> frozenset[str]:
    return frozenset(name for option in Config.options.values() for name in option.env if name.startswith(prefix))


def _nearest(name: str, known: frozenset[str]) -> str:
    """A hint at the one of ``known`` that ``name`` is a slip of, if there is one."""
    from difflib import get_close_matches  # only a mistake needs it

    # The prefix, which all of them share, would make any two alike.
    prefix = OWN_PREFIX if name.startswith(OWN_PREFIX) else RUST_ADAPTER_PREFIX
    matches = get_close_matches(name.removeprefix(prefix), [other.removeprefix(prefix) for other in known], n=1)
    return f"; did you mean {prefix}{matches[0]}?" if matches else ""
