"""Options of ``adapter dev``: its doors and ports, how requests and faults are made, and its environments."""

from __future__ import annotations

from adapter.config import parsers
from adapter.config.option import Option, OptionTable


class DevOptions(OptionTable):
    """They have no effect elsewhere."""

    # --- adapter dev -----------------------------------------------------------------------------------------------
    dev_host = Option(
        "The address of the front doors and the Invoke APIs; 0.0.0.0 for dev containers.",
        parse=parsers.host,
        default="127.0.0.1",
        env=("ADAPTER_DEV_HOST",),
        flag="--host",
        group="dev",
    )
    dev_port = Option(
        "The port of the first front door; 0: any free one.",
        parse=parsers.listen_port,
        default=3000,
        env=("ADAPTER_DEV_PORT",),
        flag="--port",
        group="dev",
    )
    url_invoke_mode = Option[str | None](
        "The own mode of a front door that can stream, to see what a mismatch with --invoke-mode does.",
        parse=parsers.choice("buffered", "response_stream"),
        default=None,
        default_text="that of `--invoke-mode`",
        env=("ADAPTER_URL_INVOKE_MODE",),
        metavar="buffered|response_stream",
        group="dev",
    )
    timeout = Option(
        "The function's timeout in seconds.",
        parse=parsers.function_timeout,
        default=900.0,
        default_text="900",
        env=("ADAPTER_TIMEOUT",),
        group="dev",
    )
    warm = Option(
        "Start the app at once instead of on the first request.",
        parse=parsers.boolean,
        default=False,
        env=("ADAPTER_WARM",),
        group="dev",
    )
    price_table = Option[str | None](
        "A JSON file of streaming prices to use instead of the built-in one.",
        parse=parsers.text,
        default=None,
        default_text="built in",
        env=("ADAPTER_PRICE_TABLE",),
        metavar="FILE",
        group="dev",
    )

    front_doors = Option[tuple[tuple[str, int | None], ...]](
        "What stands in front of the function, several at once if you like; each gets the next free port or its own.",
        parse=parsers.front_doors,
        default=(),
        default_text="`function-url`",
        env=("ADAPTER_FRONT_DOOR",),
        flag="--front-door",
        metavar="|".join(parsers.FRONT_DOORS) + "[:PORT]",
        repeatable=True,
        group="dev",
    )
    invoke_port = Option[int | None](
        "The port of the Invoke APIs, for SDKs and the AWS CLI; 0: any free one.",
        parse=parsers.listen_port,
        default=None,
        default_text="that of `--port` + 1: `3001`",
        env=("ADAPTER_INVOKE_PORT",),
        group="dev",
    )
    dev_function_name = Option[str | None](
        "The only function name that the Invoke APIs know.",
        parse=parsers.text,
        default=None,
        default_text="any name will do",
        env=("ADAPTER_FUNCTION_NAME",),
        flag="--function-name",
        metavar="NAME",
        group="dev",
    )
    stage = Option(
        "The stage in the events of a REST API.",
        parse=parsers.text,
        default="prod",
        env=("ADAPTER_STAGE",),
        metavar="NAME",
        group="dev",
    )
    resource = Option(
        "The resource of a REST API; a path that it does not cover is refused.",
        parse=parsers.resource,
        default="/{proxy+}",
        env=("ADAPTER_RESOURCE",),
        metavar="PATH",
        group="dev",
    )
    rest_idle_timeout = Option(
        "Break off a stream of a REST API that is silent for so many seconds; edge-optimised APIs have 30.",
        parse=parsers.positive_seconds,
        default=300.0,
        env=("ADAPTER_REST_IDLE_TIMEOUT",),
        group="dev",
    )
    retry_delay = Option(
        "How many seconds before the first retry of an asynchronous invocation; the second waits twice as long.",
        parse=parsers.seconds,
        default=60.0,
        env=("ADAPTER_RETRY_DELAY",),
        group="dev",
    )
    faults = Option(
        "Let things go wrong: delay, throttle, kill, truncate, fill, drop, init; see docs/dev.md.",
        parse=parsers.text,
        default="",
        env=("ADAPTER_FAULT",),
        flag="--fault",
        metavar="KIND[=AMOUNT][:RATE][@HEADER]",
        repeatable=True,
        group="dev",
    )
    fault_seed = Option(
        "Where the random numbers of faults start, so that a run can be repeated.",
        parse=parsers.positive_integer,
        default=1,
        env=("ADAPTER_FAULT_SEED",),
        metavar="NUMBER",
        group="dev",
    )
    record = Option[str | None](
        "Write every invocation to a file in this folder, secrets included; adapter invoke FILE makes it again.",
        parse=parsers.text,
        default=None,
        default_text="off",
        env=("ADAPTER_RECORD",),
        metavar="DIR",
        group="dev",
    )

    # --- adapter dev: the environments -----------------------------------------------------------------------------
    environments = Option(
        "The most execution environments at once, each started when it is needed; 1 where CMD has no {port}.",
        parse=parsers.positive_integer,
        default=10,
        env=("ADAPTER_ENVIRONMENTS",),
        group="dev",
    )
    concurrency = Option(
        "Managed Instances: how many invocations an environment takes at once.",
        parse=parsers.positive_integer,
        default=1,
        env=("ADAPTER_MAX_CONCURRENCY",),
        flag="--max-concurrency",
        group="dev",
    )
    provisioned = Option(
        "Provisioned concurrency: so many environments are there from the start, and stay.",
        parse=parsers.count,
        default=0,
        env=("ADAPTER_PROVISIONED",),
        group="dev",
    )
    queue = Option(
        "Let invocations wait when all environments are busy; --no-queue: throttle them (429), as Lambda does.",
        parse=parsers.boolean,
        default=True,
        env=("ADAPTER_QUEUE",),
        group="dev",
    )
    idle_reclaim = Option[float | None](
        "End an environment that was idle for this many seconds.",
        parse=parsers.positive_seconds,
        default=None,
        default_text="never",
        env=("ADAPTER_IDLE_RECLAIM",),
        group="dev",
    )
    freeze = Option(
        "Stop every process of an environment between invocations, as Lambda does; Linux only.",
        parse=parsers.boolean,
        default=False,
        env=("ADAPTER_FREEZE",),
        group="dev",
    )
    snapstart = Option(
        "SnapStart: environments are initialised, then restored when they are needed.",
        parse=parsers.boolean,
        default=False,
        env=("ADAPTER_SNAPSTART",),
        group="dev",
    )
    memory = Option(
        "The function's memory in MB: it is told so, and a warning says when it has used more.",
        parse=parsers.memory,
        default=1024,
        env=("ADAPTER_MEMORY",),
        metavar="MB",
        group="dev",
    )
    runtime = Option[str | None](
        "Start this command as the runtime, instead of the adapter with an app; no CMD then.",
        parse=parsers.text,
        default=None,
        env=("ADAPTER_RUNTIME",),
        metavar="COMMAND",
        group="dev",
    )
    extensions = Option[str | None](
        "Start every executable file in this folder as an external extension.",
        parse=parsers.text,
        default=None,
        default_text="none",
        env=("ADAPTER_EXTENSIONS",),
        metavar="DIR",
        group="dev",
    )
    env_file = Option[str | None](
        "Variables for the function, KEY=VALUE in each line; they count before those of the shell.",
        parse=parsers.text,
        default=None,
        default_text="none",
        env=("ADAPTER_ENV_FILE",),
        metavar="FILE",
        group="dev",
    )
    reload = Option(
        "Start over when a file in the app's folder has changed; needs the extra `reload`.",
        parse=parsers.boolean,
        default=False,
        env=("ADAPTER_RELOAD",),
        group="dev",
    )
    invocation_log = Option(
        "One line for each invocation, or the block that CloudWatch would show.",
        parse=parsers.choice("line", "cloudwatch"),
        default="line",
        env=("ADAPTER_INVOCATION_LOG",),
        metavar="line|cloudwatch",
        group="dev",
    )
