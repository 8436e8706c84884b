"""The environment variables of the runtime.

They are the user's, Lambda's, and one for each option whose value comes from a flag or from a template.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

from adapter.aws.identity import FUNCTION_VERSION
from adapter.config.load import TEMPLATE, Config
from adapter.emulator.function_settings import FUNCTION_NAME, HANDLER, ON_DEMAND, FunctionSettings
from adapter.numbers import LONGEST_WAIT
from adapter.payload.request import RequestRules

#: The variable whose value is different in each environment.
LOG_STREAM = "AWS_LAMBDA_LOG_STREAM_NAME"
# Variables of the user that a runtime must not inherit. It would misread the first as a setting of Lambda, and the
# second as the trace id of an invocation.
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
    """Return the environment variables of a runtime. ``runtime_api`` is the address of its Runtime API, ``HOST:PORT``.

    If ``--runtime`` is set, ``_HANDLER`` has the user's value or, without one, the last word of the runtime's command
    (as in the official emulator).

    The variables switch off the runtime's access log, since ``dev`` writes its own line for each request. They also
    switch off Python's output buffering, which is on by default if the output is not a terminal.
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
        "_HANDLER": HANDLER if config.runtime is None else environ.get("_HANDLER") or shlex.split(config.runtime)[-1],
    }
    if config.concurrency > 1:
        lambda_variables["AWS_LAMBDA_MAX_CONCURRENCY"] = str(config.concurrency)
    fixed = {
        "ADAPTER_AS": "runtime",
        "ADAPTER_DEV_APP_STATUS": "true",
        "ADAPTER_ACCESS_LOG": "false",
        "AWS_LWA_INVOKE_MODE": invoke_mode,
    }
    if config.debug:
        # A debugger may stop the app before it is ready. The app gets the terminal from its start.
        fixed |= {"ADAPTER_FOREGROUND": "true", "AWS_LWA_READINESS_CHECK_TIMEOUT_SECONDS": str(LONGEST_WAIT)}
    user_variables = {name: value for name, value in environ.items() if name not in _NOT_PASSED_ON}
    return {"PYTHONUNBUFFERED": "1"} | user_variables | _set_options(config) | lambda_variables | fixed


def request_rules(config: Config, settings: FunctionSettings) -> RequestRules:
    """Return the rules by which ``adapter run`` turns the function's events into requests to the app.

    The name of the log stream, which differs in each environment, is left empty.
    """
    return RequestRules(
        base_path=config.base_path,
        pass_through_path=config.pass_through_path,
        authorization_source=config.authorization_source,
        strip_forwarded=config.strip_forwarded,
        env_config={
            "function_name": settings.name,
            "memory": settings.memory,
            "version": FUNCTION_VERSION,
            "log_group": f"/aws/lambda/{settings.name}",
            "log_stream": "",
        },
    )


def _set_options(config: Config) -> dict[str, str]:
    """Return the environment variables for the options whose values come from a flag or from a template."""
    return {
        option.env[0]: config.texts[name]
        for name, option in config.options.items()
        if option.flag is not None and config.sources[name] in (option.flag, TEMPLATE)
    }
