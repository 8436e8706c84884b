"""Options of the runtime on Lambda, and the variables that Lambda or another platform sets."""

from __future__ import annotations

from adapter.config import parsers
from adapter.config.option import Option, OptionTable, optional


class RuntimeOptions(OptionTable):
    """Options of the custom runtime."""

    group = "lambda"

    way_in = Option(
        "What to serve: runtime (invocations of the Runtime API), proxy (plain HTTP), or auto (invocations if "
        "AWS_LAMBDA_RUNTIME_API is set, else plain HTTP).",
        parse=parsers.choice("auto", "runtime", "proxy"),
        default="auto",
        env=("ADAPTER_AS",),
        flag="--as",
    )
    deadline_margin = optional(
        "Stop waiting for the app this many seconds before the invocation's deadline.",
        parse=parsers.seconds,
        default_text="Lambda's own timeout",
    )
    before_checkpoint_path = optional(
        "SnapStart: POST to this path of the app before the snapshot is taken.",
        parse=parsers.path,
        env=("AWS_LWA_SNAPSTART_BEFORE_CHECKPOINT_PATH",),
    )
    after_restore_path = optional(
        "SnapStart: POST to this path of the app after a restore.",
        parse=parsers.path,
        env=("AWS_LWA_SNAPSTART_AFTER_RESTORE_PATH",),
    )
    extension_name = Option(
        "Register as an extension with this name, so that Lambda sends SIGTERM. A file in /opt/extensions must have "
        "the same name.",
        parse=parsers.text("NAME"),
        default="web-adapter",
    )
    runtime_api_proxy = optional(
        "Receive invocations from this address instead of AWS_LAMBDA_RUNTIME_API.",
        parse=parsers.host_and_port,
        env=("AWS_LWA_LAMBDA_RUNTIME_API_PROXY",),
    )


class PlatformOptions(OptionTable):
    """Variables that only a platform sets."""

    group = "platform"
    prefix = "AWS_LAMBDA_"
    has_flags = False

    runtime_api = optional("The address of Lambda's Runtime API.", parse=parsers.host_and_port)
    max_concurrency = Option(
        "Managed Instances: the maximum number of concurrent invocations of this environment.",
        parse=parsers.slots,
        default=1,
    )
    initialization_type = Option(
        "Why this environment was created: on-demand, provisioned-concurrency, snap-start …",
        default="on-demand",
    )
    function_name = Option("The function's name.", default="")
    function_version = Option("The function's version.", default="")
    function_memory = Option(
        "The function's memory in MB.",
        default="",
        env=("AWS_LAMBDA_FUNCTION_MEMORY_SIZE",),
    )
    log_group = Option("The log group of the function.", default="", env=("AWS_LAMBDA_LOG_GROUP_NAME",))
    log_stream = Option("The log stream of this environment.", default="", env=("AWS_LAMBDA_LOG_STREAM_NAME",))
    sends_app_status = Option(
        "For each event that is not an HTTP request, send adapter dev the path of the app's request and the status of "
        "the app's response; adapter dev sets this variable.",
        default=False,
        env=("ADAPTER_DEV_APP_STATUS",),
    )
    container_port = optional("The port that a platform assigned.", parse=parsers.port, env=("PORT",))
