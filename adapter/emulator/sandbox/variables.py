"""The environment variables of the runtime: the user's, Lambda's own, and every option that was given as a flag."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from adapter.aws.identity import FUNCTION_VERSION
from adapter.config.load import Config
from adapter.emulator.function_settings import FUNCTION_NAME, HANDLER, ON_DEMAND

#: The variable that has another value in each environment.
LOG_STREAM = "AWS_LAMBDA_LOG_STREAM_NAME"
# Variables that a user may have exported and that mean something else to a runtime: each invocation has its own trace.
_NOT_PASSED_ON = frozenset({"AWS_LAMBDA_MAX_CONCURRENCY", "_X_AMZN_TRACE_ID"})


def runtime_environ(
    config: Config,
    environ: Mapping[str, str],
    *,
    runtime_api: str,
    log_stream: str,
    invoke_mode: str,
    initialization_type: str = ON_DEMAND,
) -> dict[str, str]:
    """Return the variables of a runtime whose Runtime API is at ``runtime_api``, ``HOST:PORT``.

    The access log is off, since ``dev`` writes its own line for each request. Python does not buffer its output, though
    it is not a terminal.
    """
    name = config.dev_function_name or FUNCTION_NAME
    lambda_variables = {
        "AWS_LAMBDA_RUNTIME_API": runtime_api,
        "AWS_LAMBDA_FUNCTION_NAME": name,
        "AWS_LAMBDA_FUNCTION_VERSION": FUNCTION_VERSION,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(config.memory),
        "AWS_LAMBDA_INITIALIZATION_TYPE": initialization_type,
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{name}",
        LOG_STREAM: log_stream,
        "AWS_REGION": config.region,
        "AWS_DEFAULT_REGION": config.region,
        "LAMBDA_TASK_ROOT": str(Path(config.app_dir or ".").resolve()),
        "_HANDLER": environ.get("_HANDLER", HANDLER) if config.runtime is not None else HANDLER,
    }
    if config.concurrency > 1:
        lambda_variables["AWS_LAMBDA_MAX_CONCURRENCY"] = str(config.concurrency)
    fixed = {
        "ADAPTER_AS": "runtime",
        "ADAPTER_ACCESS_LOG": "false",
        "AWS_LWA_INVOKE_MODE": invoke_mode,
    }
    user_variables = {name: value for name, value in environ.items() if name not in _NOT_PASSED_ON}
    return {"PYTHONUNBUFFERED": "1"} | user_variables | _flags(config) | lambda_variables | fixed


def _flags(config: Config) -> dict[str, str]:
    """Return the options that were given as flags, by the names of their variables."""
    return {
        option.env[0]: config.texts[name]
        for name, option in config.options.items()
        if option.flag is not None and config.sources[name] == option.flag
    }
