"""Options of running on Lambda, what Lambda itself sets, and the log."""

from __future__ import annotations

from adapter.config import parsers
from adapter.config.option import Option, OptionTable
from adapter.net.address import Address


class PlatformOptions(OptionTable):
    """Some have no flag: only the platform sets them."""

    # --- on Lambda -------------------------------------------------------------------------------------------------
    way_in = Option(
        "Take invocations from Lambda's Runtime API or as plain HTTP; auto: from the Runtime API where there is one.",
        parse=parsers.choice("auto", "runtime", "proxy"),
        default="auto",
        env=("ADAPTER_AS",),
        flag="--as",
        metavar="auto|runtime|proxy",
        group="lambda",
    )
    deadline_margin = Option[float | None](
        "Give up on the app this many seconds before the invocation's deadline.",
        parse=parsers.seconds,
        default=None,
        default_text="Lambda's own timeout",
        env=("ADAPTER_DEADLINE_MARGIN",),
        group="lambda",
    )
    before_checkpoint_path = Option[str | None](
        "SnapStart: POST to this path of the app before the snapshot is taken.",
        parse=parsers.path,
        default=None,
        env=("AWS_LWA_SNAPSTART_BEFORE_CHECKPOINT_PATH",),
        group="lambda",
    )
    after_restore_path = Option[str | None](
        "SnapStart: POST to this path of the app after a restore.",
        parse=parsers.path,
        default=None,
        env=("AWS_LWA_SNAPSTART_AFTER_RESTORE_PATH",),
        group="lambda",
    )
    extension_name = Option(
        "Register as this extension, so that SIGTERM arrives. As a file in /opt/extensions: the file's name.",
        parse=parsers.text,
        default="web-adapter",
        env=("ADAPTER_EXTENSION_NAME",),
        metavar="NAME",
        group="lambda",
    )
    runtime_api_proxy = Option[Address | None](
        "Take invocations from this address instead of AWS_LAMBDA_RUNTIME_API.",
        parse=parsers.host_and_port,
        default=None,
        env=("AWS_LWA_LAMBDA_RUNTIME_API_PROXY",),
        group="lambda",
    )

    # --- logs ------------------------------------------------------------------------------------------------------
    log_format = Option(
        "Lines for people or for machines.",
        parse=parsers.choice("text", "json"),
        default="text",
        env=("ADAPTER_LOG_FORMAT", "AWS_LAMBDA_LOG_FORMAT"),
        metavar="text|json",
        group="logs",
    )
    log_level = Option(
        "The least important lines to write.",
        parse=parsers.choice("trace", "debug", "info", "warn", "error", "fatal"),
        default="info",
        env=("ADAPTER_LOG_LEVEL", "AWS_LAMBDA_LOG_LEVEL"),
        metavar="LEVEL",
        group="logs",
    )
    access_log = Option(
        "Write one line per invocation.",
        parse=parsers.boolean,
        default=True,
        env=("ADAPTER_ACCESS_LOG",),
        group="logs",
    )

    # --- what only Lambda sets -------------------------------------------------------------------------------------
    runtime_api = Option[Address | None](
        "Where Lambda's Runtime API is.",
        parse=parsers.host_and_port,
        default=None,
        env=("AWS_LAMBDA_RUNTIME_API",),
        flag=None,
        group="platform",
    )
    max_concurrency = Option(
        "Managed Instances: how many invocations at once.",
        parse=parsers.positive_integer,
        default=1,
        env=("AWS_LAMBDA_MAX_CONCURRENCY",),
        flag=None,
        group="platform",
    )
    initialization_type = Option(
        "Why this environment was made: on-demand, provisioned-concurrency, snap-start …",
        parse=parsers.text,
        default="on-demand",
        env=("AWS_LAMBDA_INITIALIZATION_TYPE",),
        flag=None,
        group="platform",
    )
    function_name = Option(
        "The function's name.",
        parse=parsers.text,
        default="",
        env=("AWS_LAMBDA_FUNCTION_NAME",),
        flag=None,
        group="platform",
    )
    function_version = Option(
        "The function's version.",
        parse=parsers.text,
        default="",
        env=("AWS_LAMBDA_FUNCTION_VERSION",),
        flag=None,
        group="platform",
    )
    function_memory = Option(
        "The function's memory in MB.",
        parse=parsers.text,
        default="",
        env=("AWS_LAMBDA_FUNCTION_MEMORY_SIZE",),
        flag=None,
        group="platform",
    )
    log_group = Option(
        "Where the function's lines go.",
        parse=parsers.text,
        default="",
        env=("AWS_LAMBDA_LOG_GROUP_NAME",),
        flag=None,
        group="platform",
    )
    log_stream = Option(
        "Where this environment's lines go.",
        parse=parsers.text,
        default="",
        env=("AWS_LAMBDA_LOG_STREAM_NAME",),
        flag=None,
        group="platform",
    )
    region = Option(
        "The region whose prices hold.",
        parse=parsers.text,
        default="us-east-1",
        env=("AWS_REGION", "AWS_DEFAULT_REGION"),
        flag=None,
        group="platform",
    )
    container_port = Option[int | None](
        "The port that a platform assigned.",
        parse=parsers.port,
        default=None,
        env=("PORT",),
        flag=None,
        group="platform",
    )
