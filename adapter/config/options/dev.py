"""Options of ``adapter dev``: front doors and ports, requests, faults, and environments."""

from __future__ import annotations

from adapter.aws.limits import MIB
from adapter.config import parsers
from adapter.config.option import Option, OptionTable, optional

# The port of the first front door. The Invoke APIs use the next port. ``sam local`` uses the same two ports.
DEFAULT_DEV_PORT = 3000
# The memory of the function, in MB.
DEFAULT_MEMORY = 1024
# The function's timeout, in seconds: the longest timeout that linters accept.
DEFAULT_TIMEOUT = 900.0
# The maximum number of execution environments.
DEFAULT_ENVIRONMENTS = 10


class DevOptions(OptionTable):
    """Options that have no effect outside of ``adapter dev``."""

    group = "dev"

    dev_host = Option(
        "The address that the front doors and the Invoke APIs listen on; use 0.0.0.0 in dev containers.",
        parse=parsers.host,
        default="127.0.0.1",
        flag="--host",
    )
    dev_port = Option(
        "The port of the first front door; 0: any free port.",
        parse=parsers.listen_port,
        default=DEFAULT_DEV_PORT,
        flag="--port",
    )
    url_invoke_mode = optional(
        "The invoke mode of front doors that can stream; set it to test a mismatch with --invoke-mode.",
        parse=parsers.choice("buffered", "response_stream"),
        default_text="as `--invoke-mode`",
    )
    decode_streams = Option(
        "Undo the compression of a function URL's streams, as Lambda does according to field reports.",
        default=True,
    )
    timeout = Option(
        "The function's timeout in seconds, up to 1800; on Managed Instances up to 5400.",
        parse=parsers.function_timeout,
        default=DEFAULT_TIMEOUT,
    )
    debug = Option(
        "Debug the app: it reads this terminal, and its one environment has no time limits.",
        default=False,
    )
    warm = Option("Start the app at once instead of with the first request.", default=False)
    price_table = optional(
        "A JSON file with the prices to use instead of the built-in ones.",
        parse=parsers.text("FILE"),
        default_text="built in",
    )

    front_doors = Option[tuple[tuple[str, int | None], ...]](
        "One or more front doors of the function. A front door without a port gets the next free port.",
        parse=parsers.front_doors,
        default=(),
        default_text="`function-url`",
        env=("ADAPTER_FRONT_DOOR",),
        flag="--front-door",
        repeatable=True,
    )
    invoke_port = optional(
        "The port of the Invoke APIs, for SDKs and the AWS CLI; 0: any free port.",
        parse=parsers.listen_port,
        default_text=f"`--port` + 1: `{DEFAULT_DEV_PORT + 1}`",
    )
    dev_function_name = optional(
        "The only function name that the Invoke APIs accept.",
        parse=parsers.text("NAME"),
        default_text="any name",
        env=("ADAPTER_FUNCTION_NAME",),
        flag="--function-name",
    )
    stage = Option("The stage in the events of a REST API.", parse=parsers.text("NAME"), default="prod")
    resource = Option(
        "The resource of a REST API; requests for paths that do not match this resource are refused.",
        parse=parsers.resource,
        default="/{proxy+}",
    )
    rest_idle_timeout = Option(
        "Cut off a REST API's stream if the app sends nothing for this many seconds; use 30 for edge-optimized APIs.",
        parse=parsers.positive_seconds,
        default=300.0,
    )
    domain = optional(
        "The domain of the front doors. The app gets this domain in the Host header, as behind a real front door.",
        parse=parsers.domain,
        default_text="the client's Host",
    )
    cors = optional(
        "The CORS configuration of the function URL and the HTTP API: JSON with AWS's fields, or a file with such "
        "JSON.",
        parse=parsers.text("JSON|FILE"),
    )
    auth = Option(
        "The AuthType of the function URL; aws-iam: only requests with a valid AWS signature are accepted.",
        parse=parsers.choice("none", "aws-iam"),
        default="none",
    )
    auth_key_file = optional(
        "A file with the key pair for --auth aws-iam, in the JSON format of credential_process (AWS CLI).",
        parse=parsers.text("FILE"),
        default_text="a new pair at each start",
    )
    authorizer_context = optional(
        "A JSON file whose content becomes requestContext.authorizer in events of an HTTP API or a REST API.",
        parse=parsers.text("FILE"),
    )
    region = Option(
        "The function's region, which determines prices and ARNs.",
        parse=parsers.text("REGION"),
        default="us-east-1",
        env=("AWS_REGION", "AWS_DEFAULT_REGION"),
        flag="--region",
    )
    retry_delay = Option(
        "The delay in seconds before the first retry of an asynchronous invocation. The second delay is twice as long.",
        parse=parsers.seconds,
        default=60.0,
    )
    faults = Option(
        "Inject a fault: delay, throttle, kill, truncate, fill, drop or init; see docs/dev.md.",
        parse=parsers.text("KIND[=AMOUNT][:RATE][@HEADER]"),
        default="",
        env=("ADAPTER_FAULT",),
        flag="--fault",
        repeatable=True,
    )
    fault_seed = Option(
        "The seed of the random numbers that faults use; with the same seed, a run can be repeated.", default=1
    )
    record = optional(
        "Write each invocation, including secrets, to its own file in this folder; adapter invoke FILE repeats the "
        "invocation.",
        parse=parsers.text("DIR"),
        default_text="off",
    )

    # The inspector.
    inspector = optional(
        "Serve the inspector, a page that shows every invocation, on this address; a port alone means 127.0.0.1.",
        parse=parsers.loopback_address,
        default_text="the first free port after the port of the Invoke APIs",
    )
    no_inspector = Option("Do not serve the inspector.", default=False)
    inspector_bodies = Option(
        "Whether the inspector shows the bodies of requests and responses.",
        parse=parsers.choice("all", "none"),
        default="all",
    )
    inspector_records = Option("The number of invocations that the inspector remembers.", default=500)
    inspector_memory = Option(
        "The memory for the data of all invocations that the inspector remembers; the oldest data is dropped first.",
        parse=parsers.size,
        default=16 * MIB,
        default_text="`16mb`",
    )

    # The execution environments.
    environments = Option(
        "The maximum number of execution environments; each starts only when it is needed. If all environments would "
        "use one port, the maximum is 1.",
        default=DEFAULT_ENVIRONMENTS,
    )
    concurrency = Option(
        "Managed Instances: the maximum number of concurrent invocations of an environment, up to 1600.",
        parse=parsers.concurrency,
        default=1,
        env=("ADAPTER_MAX_CONCURRENCY",),
        flag="--max-concurrency",
    )
    provisioned = Option(
        "Provisioned concurrency: the number of environments that start immediately and keep running.",
        parse=parsers.count,
        default=0,
    )
    queue = Option(
        "Let invocations wait if all environments are busy; --no-queue: throttle them (429), as Lambda does.",
        default=True,
    )
    idle_reclaim = optional(
        "End an environment that has been idle for this many seconds.",
        parse=parsers.positive_seconds,
        default_text="never",
    )
    freeze = Option(
        "Suspend every process of an environment between invocations, as Lambda does; Linux only.",
        default=False,
    )
    snapstart = Option(
        "SnapStart: initialize environments, keep them as snapshots, and restore a snapshot for an invocation.",
        default=False,
    )
    memory = Option(
        "The function's memory in MB (AWS_LAMBDA_FUNCTION_MEMORY_SIZE). A warning is logged if the function uses more.",
        parse=parsers.memory,
        default=DEFAULT_MEMORY,
    )
    runtime = optional(
        "Start this command as the runtime, instead of the adapter with an app; leave out CMD.",
        parse=parsers.text("COMMAND"),
    )
    extensions = optional(
        "Start every executable file in this folder as an external extension.",
        parse=parsers.text("DIR"),
    )
    env_file = optional(
        "A file with variables for the function, one KEY=VALUE per line; they override the shell's variables.",
        parse=parsers.text("FILE"),
    )
    template = optional(
        "Read the function's settings from this file: a SAM or CloudFormation template, or the output of cdk synth; "
        "see docs/dev.md.",
        parse=parsers.text("FILE"),
    )
    template_function = optional(
        "The logical id or the name of the function to use, if the template contains several functions.",
        parse=parsers.text("NAME"),
        default_text="the only function",
    )
    reload = Option("Restart when a file in the app's folder changes; needs the extra `reload`.", default=False)
    invocation_log = Option(
        "Show each invocation as one line, or as the block of lines that CloudWatch would show.",
        parse=parsers.choice("line", "cloudwatch"),
        default="line",
    )
