"""What the runtime process finds in its environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapter.config.load import load
from adapter.emulator.front_doors.door_settings import UrlSettings
from adapter.emulator.sandbox.variables import runtime_environ


def variables(environ: dict[str, str], flags: dict[str, str] | None = None) -> dict[str, str]:
    config = load(environ, flags)
    mode = UrlSettings(config).invoke_mode
    return runtime_environ(config, environ, runtime_api="127.0.0.1:1234", log_stream="s", invoke_mode=mode)


def test_the_variables_are_those_of_lambda() -> None:
    found = variables({"HOME": "/home/x", "DATABASE": "db"})
    assert found["AWS_LAMBDA_RUNTIME_API"] == "127.0.0.1:1234"
    assert found["AWS_LAMBDA_LOG_STREAM_NAME"] == "s"
    assert found["AWS_LAMBDA_INITIALIZATION_TYPE"] == "on-demand"
    assert found["AWS_LAMBDA_FUNCTION_VERSION"] == "$LATEST"
    assert found["AWS_REGION"] == "us-east-1"
    assert found["LAMBDA_TASK_ROOT"] == str(Path.cwd())
    assert found["ADAPTER_ACCESS_LOG"] == "false"
    assert "_X_AMZN_TRACE_ID" not in found
    # And the user's own.
    assert (found["HOME"], found["DATABASE"]) == ("/home/x", "db")


@pytest.mark.parametrize(
    ("environ", "handler"),
    [pytest.param({}, "index.handler", id="last-word"), pytest.param({"_HANDLER": "x.y"}, "x.y", id="of-the-user")],
)
def test_the_handler_of_another_runtime_is_the_last_word_of_its_command(environ: dict[str, str], handler: str) -> None:
    assert variables(environ, {"runtime": "npx aws-lambda-ric index.handler"})["_HANDLER"] == handler


@pytest.mark.parametrize(
    ("environ", "flags", "mode"),
    [
        pytest.param({}, {}, "response_stream", id="default-of-dev"),
        pytest.param({"AWS_LWA_INVOKE_MODE": "BUFFERED"}, {}, "buffered", id="variable"),
        pytest.param({"AWS_LWA_INVOKE_MODE": "response_stream"}, {"invoke_mode": "buffered"}, "buffered", id="flag"),
    ],
)
def test_the_invoke_mode_is_always_named(environ: dict[str, str], flags: dict[str, str], mode: str) -> None:
    assert variables(environ, flags)["AWS_LWA_INVOKE_MODE"] == mode


def test_every_flag_reaches_the_runtime_as_the_variable_that_counts_first() -> None:
    flags = {
        "app_port": "9999",
        "readiness_path": "/healthz",
        "readiness_status": "200-299",
        "app_dir": "..",
        "compression": "true",
        "log_format": "json",
    }
    found = variables({"AWS_LWA_PORT": "1", "AWS_LAMBDA_LOG_FORMAT": "text"}, flags)
    runtime = load(found)
    assert runtime.app_port == 9999
    assert runtime.readiness_path == "/healthz"
    assert runtime.readiness_status == frozenset(range(200, 300))
    assert runtime.compression is True
    assert runtime.log_format == "json"
    assert runtime.app_dir == ".."
    assert found["LAMBDA_TASK_ROOT"] == str(Path.cwd().parent)
    assert runtime.on_lambda


def test_options_of_dev_alone_are_not_a_mistake_for_the_runtime() -> None:
    found = variables({"ADAPTER_TIMEOUT": "3"}, {"dev_port": "3456", "warm": "true", "bandwidth": "unlimited"})
    assert load(found).on_lambda


def test_variables_that_the_user_exported_do_not_change_the_way_in() -> None:
    found = variables({"ADAPTER_AS": "proxy", "AWS_LAMBDA_MAX_CONCURRENCY": "8", "_X_AMZN_TRACE_ID": "x"})
    assert load(found).on_lambda
    assert load(found).max_concurrency == 1
    assert "_X_AMZN_TRACE_ID" not in found
