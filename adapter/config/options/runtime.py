"""Options of running on Lambda, and the variables that Lambda or another platform sets."""

from __future__ import annotations

from adapter.config import parsers
from adapter.config.option import Option, OptionTable
from adapter.net.address import Address


class RuntimeOptions(OptionTable):
    """Options of the custom runtime."""

    group = "lambda"

    way_in = Option(
        "Take invocations from Lambda's Runtime API, or plain HTTP requests; auto: the Runtime API if there is one.",
        parse=parsers.choice("auto", "runtime", "proxy"),
        default="auto",
        env=("ADAPTER_AS",),
        flag="--as",
    )
    deadline_margin = Option[float | None](
        "Stop waiting for the app this many seconds before the invocation's deadline.",
        parse=parsers.seconds,
        default=None,
        default_text="Lambda's own timeout",
    )
    before_checkpoint_path = Option[str | None](
        "SnapStart: POST to this path of the app before the snapshot is taken.",
        parse=parsers.path,
        default=None,
        env=("AWS_LWA_SNAPSTART_BEFORE_CHECKPOINT_PATH",),
    )
    after_restore_path = Option[str | None](
        "SnapStart: POST to this path of the app after a restore.",
        parse=parsers.path,
        default=None,
        env=("AWS_LWA_SNAPSTART_AFTER_RESTORE_PATH",),
    )
    extension_name = Option(
        "Register as this extension, so that SIGTERM arrives. In /opt/extensions this must be the file's name.",
        parse=parsers.text("NAME"),
        default="web-adapter",
    )
    runtime_api_proxy = Option[Address | None](
        "Take invocations from this address instead of AWS_LAMBDA_RUNTIME_API.",
        parse=parsers.host_and_port,
        default=None,
        env=("AWS_LWA_LAMBDA_RUNTIME_API_PROXY",),
    )


class PlatformOptions(OptionTable):
    """Variables that only a platform sets."""

    group = "platform"
    has_flags = False

    runtime_api = Option[Address | None](
        "The address of Lambda's Runtime API.",
        parse=parsers.host_and_port,
        default=None,
        env=("AWS_LAMBDA_RUNTIME_API",),
    )
    max_concurrency = Option(
        "Managed Instances: the number of invocations at once.",
        parse=parsers.positive_integer,
        default=1,
        env=("AWS_LAMBDA_MAX_CONCURRENCY",),
    )
    initialization_type = Option(
        "Why this environment was created: on-demand, provisioned-concurrency, snap-start …",
        parse=parsers.text("TEXT"),
        default="on-demand",
        env=("AWS_LAMBDA_INITIALIZATION_TYPE",),
    )
    function_name = Option(
        "The function's name.",
        parse=parsers.text("NAME"),
        default="",
        env=("AWS_LAMBDA_FUNCTION_NAME",),
    )
    function_version = Option(
        "The function's version.",
        parse=parsers.text("VERSION"),
        default="",
        env=("AWS_LAMBDA_FUNCTION_VERSION",),
    )
    function_memory = Option(
        "The function's memory in MB.",
        parse=parsers.text("MB"),
        default="",
        env=("AWS_LAMBDA_FUNCTION_MEMORY_SIZE",),
    )
    log_group = Option(
        "The log group of the function.",
        parse=parsers.text("NAME"),
        default="",
        env=("AWS_LAMBDA_LOG_GROUP_NAME",),
    )
    log_stream = Option(
        "The log stream of this environment.",
        parse=parsers.text("NAME"),
        default="",
        env=("AWS_LAMBDA_LOG_STREAM_NAME",),
    )
    region = Option(
        "The region of the function, whose prices count.",
        parse=parsers.text("REGION"),
        default="us-east-1",
        env=("AWS_REGION", "AWS_DEFAULT_REGION"),
    )
    container_port = Option[int | None](
        "The port that a platform assigned.",
        parse=parsers.port,
        default=None,
        env=("PORT",),
    )
