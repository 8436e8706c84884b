"""Where each setting comes from, its default, and every mistake at once."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from adapter.aws.limits import LAMBDA_BANDWIDTH
from adapter.config.load import Config, is_on_lambda, load, read
from adapter.errors import ConfigurationError
from adapter.net.address import Address

ON_LAMBDA = {"AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9001"}


def mistakes_of(environ: dict[str, str], flags: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load(environ, flags)
    assert str(caught.value) == "; ".join(caught.value.mistakes)
    return caught.value.mistakes


# --- the variables of AWS Lambda Web Adapter ------------------------------------------------------------------------

DEFAULT_STATUSES = frozenset(range(100, 500))
# The variable, the option, its default, a text and what the text means.
RUST_ADAPTER: list[tuple[str, str, Any, str, Any]] = [
    ("AWS_LWA_PORT", "app_port", None, "3000", 3000),
    ("AWS_LWA_HOST", "app_host", "127.0.0.1", "10.0.0.1", "10.0.0.1"),
    ("AWS_LWA_READINESS_CHECK_PORT", "readiness_port", None, "3001", 3001),
    ("AWS_LWA_READINESS_CHECK_PATH", "readiness_path", "/", "/healthz", "/healthz"),
    ("AWS_LWA_READINESS_CHECK_PROTOCOL", "readiness_protocol", "http", "TCP", "tcp"),
    (
        "AWS_LWA_READINESS_CHECK_HEALTHY_STATUS",
        "readiness_status",
        DEFAULT_STATUSES,
        "200-399,404",
        frozenset({*range(200, 400), 404}),
    ),
    ("AWS_LWA_READINESS_CHECK_TIMEOUT_SECONDS", "readiness_timeout", 120.0, "10", 10.0),
    ("AWS_LWA_POOL_IDLE_TIMEOUT_SECONDS", "app_idle_timeout", 0.5, "4", 4.0),
    ("AWS_LWA_ASYNC_INIT", "async_init", False, "true", True),
    ("AWS_LWA_REMOVE_BASE_PATH", "base_path", "", "/api/", "/api"),
    ("AWS_LWA_ENABLE_COMPRESSION", "compression", False, "true", True),
    ("AWS_LWA_INVOKE_MODE", "invoke_mode", None, "RESPONSE_STREAM", "response_stream"),
    ("AWS_LWA_PASS_THROUGH_PATH", "pass_through_path", "/events", "/queue", "/queue"),
    ("AWS_LWA_AUTHORIZATION_SOURCE", "authorization_source", "", "X-Auth", "x-auth"),
    ("AWS_LWA_ERROR_STATUS_CODES", "error_statuses", frozenset(), "500,502-504", frozenset({500, 502, 503, 504})),
    (
        "AWS_LWA_LAMBDA_RUNTIME_API_PROXY",
        "runtime_api_proxy",
        None,
        "127.0.0.1:9009",
        Address(host="127.0.0.1", port=9009),
    ),
    ("AWS_LWA_SNAPSTART_BEFORE_CHECKPOINT_PATH", "before_checkpoint_path", None, "/before", "/before"),
    ("AWS_LWA_SNAPSTART_AFTER_RESTORE_PATH", "after_restore_path", None, "/after", "/after"),
]
# The variable, the option, a text that the Rust adapter accepts, and how it is read.
REPAIRED: list[tuple[str, str, str, Any]] = [
    ("AWS_LWA_ERROR_STATUS_CODES", "error_statuses", "500,", frozenset({500})),
    ("AWS_LWA_ERROR_STATUS_CODES", "error_statuses", "x, 502-503,1-", frozenset({502, 503})),
    ("AWS_LWA_READINESS_CHECK_HEALTHY_STATUS", "readiness_status", ",200", frozenset({200})),
    ("AWS_LWA_READINESS_CHECK_PATH", "readiness_path", "healthz", "/healthz"),
    ("READINESS_CHECK_PATH", "readiness_path", "healthz", "/healthz"),
    ("AWS_LWA_PASS_THROUGH_PATH", "pass_through_path", "queue", "/queue"),
    ("AWS_LWA_REMOVE_BASE_PATH", "base_path", "api/", "/api"),
]
DEPRECATED: list[tuple[str, str, str, Any, str]] = [
    ("HOST", "app_host", "10.0.0.1", "10.0.0.1", "AWS_LWA_HOST"),
    ("READINESS_CHECK_PORT", "readiness_port", "3001", 3001, "AWS_LWA_READINESS_CHECK_PORT"),
    ("READINESS_CHECK_PATH", "readiness_path", "/healthz", "/healthz", "AWS_LWA_READINESS_CHECK_PATH"),
    ("READINESS_CHECK_PROTOCOL", "readiness_protocol", "tcp", "tcp", "AWS_LWA_READINESS_CHECK_PROTOCOL"),
    ("REMOVE_BASE_PATH", "base_path", "/api", "/api", "AWS_LWA_REMOVE_BASE_PATH"),
    ("ASYNC_INIT", "async_init", "true", True, "AWS_LWA_ASYNC_INIT"),
]
PLATFORM: list[tuple[str, str, Any, str, Any]] = [
    ("PORT", "container_port", None, "8000", 8000),
    ("AWS_LAMBDA_RUNTIME_API", "runtime_api", None, "127.0.0.1:9001", Address(host="127.0.0.1", port=9001)),
    ("AWS_LAMBDA_LOG_LEVEL", "log_level", "info", "DEBUG", "debug"),
    ("AWS_LAMBDA_LOG_FORMAT", "log_format", "text", "JSON", "json"),
    ("AWS_LAMBDA_MAX_CONCURRENCY", "max_concurrency", 1, "8", 8),
    ("AWS_LAMBDA_INITIALIZATION_TYPE", "initialization_type", "on-demand", "snap-start", "snap-start"),
    ("AWS_LAMBDA_FUNCTION_NAME", "function_name", "", "shop", "shop"),
    ("AWS_LAMBDA_FUNCTION_VERSION", "function_version", "", "$LATEST", "$LATEST"),
    ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "function_memory", "", "512", "512"),
    ("AWS_LAMBDA_LOG_GROUP_NAME", "log_group", "", "/aws/lambda/shop", "/aws/lambda/shop"),
    ("AWS_LAMBDA_LOG_STREAM_NAME", "log_stream", "", "2026/1", "2026/1"),
    ("AWS_REGION", "region", "us-east-1", "eu-west-1", "eu-west-1"),
]


@pytest.mark.parametrize(("variable", "option", "default", "text", "value"), RUST_ADAPTER + PLATFORM)
def test_a_variable_gives_its_option_a_value(variable: str, option: str, default: Any, text: str, value: Any) -> None:
    unset = load({})
    assert (getattr(unset, option), unset.sources[option]) == (default, "default")
    config = load({variable: text})
    assert (getattr(config, option), config.sources[option], config.texts[option]) == (value, variable, text)
    assert config.warnings == []


def test_every_variable_of_the_rust_adapter_is_in_the_table() -> None:
    known = {
        variable for option in Config.options.values() for variable in option.env if variable.startswith("AWS_LWA_")
    }
    assert known == {variable for variable, *_ in RUST_ADAPTER}


@pytest.mark.parametrize(("variable", "option", "text", "value", "successor"), DEPRECATED)
def test_a_deprecated_variable_works_with_a_warning_until_its_successor_is_set(
    variable: str, option: str, text: str, value: Any, successor: str
) -> None:
    config = load(ON_LAMBDA | {variable: text})
    assert getattr(config, option) == value
    assert config.warnings == [f"{variable} is deprecated; use {successor}"]
    both = load(ON_LAMBDA | {variable: "!", successor: text})
    assert getattr(both, option) == value
    assert both.warnings == []


@pytest.mark.parametrize(("variable", "option", "text", "value"), REPAIRED)
def test_a_text_that_the_rust_adapter_accepts_is_accepted_with_a_warning_in_its_variables(
    variable: str, option: str, text: str, value: Any
) -> None:
    config = load({variable: text})
    assert getattr(config, option) == value
    assert any(
        line.startswith(f"{variable}: {text!r} is not a ") and "is read as '" in line for line in config.warnings
    )
    # A flag is not one of its variables, and a text with nothing usable in it stays a mistake.
    assert len(mistakes_of({}, {option: text})) == 1
    assert len(mistakes_of({variable: "a b"})) == 1


def test_the_removed_variable_is_a_mistake_with_its_successor() -> None:
    assert mistakes_of({"AWS_LWA_READINESS_CHECK_MIN_UNHEALTHY_STATUS": "500"}) == [
        "AWS_LWA_READINESS_CHECK_MIN_UNHEALTHY_STATUS: was removed; list the healthy statuses in "
        "AWS_LWA_READINESS_CHECK_HEALTHY_STATUS, for example 100-499"
    ]


def test_host_means_the_apps_host_on_lambda_only() -> None:
    assert load({"HOST": "build-machine"}).app_host == "127.0.0.1"
    assert load({"HOST": "build machine!"}).warnings == []
    assert load(ON_LAMBDA | {"HOST": "10.0.0.1"}).app_host == "10.0.0.1"


# --- flags, variables, defaults -------------------------------------------------------------------------------------


def test_a_flag_beats_every_variable() -> None:
    environ = {"AWS_LWA_READINESS_CHECK_PATH": "/variable", "READINESS_CHECK_PATH": "/old"}
    config = load(environ, {"readiness_path": "/flag"})
    assert (config.readiness_path, config.sources["readiness_path"]) == ("/flag", "--readiness-path")
    assert config.warnings == []


def test_a_bad_variable_does_not_matter_where_a_flag_is_given() -> None:
    assert load({"AWS_LWA_PORT": "x"}, {"app_port": "1"}).app_port == 1


def test_an_empty_variable_counts_as_unset() -> None:
    config = load({"AWS_LWA_PORT": "", "AWS_LWA_READINESS_CHECK_PATH": "", "READINESS_CHECK_PATH": "/old"})
    assert config.sources["app_port"] == "default"
    assert config.readiness_path == "/old"


def test_our_own_log_variables_beat_lambdas() -> None:
    config = load({"ADAPTER_LOG_LEVEL": "error", "AWS_LAMBDA_LOG_LEVEL": "DEBUG"})
    assert (config.log_level, config.sources["log_level"]) == ("error", "ADAPTER_LOG_LEVEL")


def test_the_default_bandwidth_is_lambdas() -> None:
    assert load({}).bandwidth == LAMBDA_BANDWIDTH
    assert load({"ADAPTER_BANDWIDTH": "unlimited"}).bandwidth is None


def test_every_option_has_names_that_belong_to_it_alone() -> None:
    options = Config.options.values()
    variables = [variable for option in options for variable in option.env + option.deprecated]
    flags = [option.flag for option in options if option.flag is not None]
    assert len(variables) == len(set(variables))
    assert len(flags) == len(set(flags))
    assert all(flag.startswith("--") for flag in flags)


@pytest.mark.parametrize("name", list(Config.options))
def test_every_option_describes_itself_in_a_sentence(name: str) -> None:
    option = Config.options[name]
    assert option.description.endswith((".", ".)", "…"))
    assert option.parse.metavar
    assert option.default_as_text
    assert option.env


# --- mistakes -------------------------------------------------------------------------------------------------------


def test_all_mistakes_are_reported_at_once_with_name_value_and_way_out() -> None:
    environ = {
        "AWS_LWA_PORT": "http",
        "AWS_LWA_INVOKE_MODE": "streaming",
        "ADAPTER_BANDWITH": "unlimited",
        "AWS_LWA_READINESS_CHECK_MIN_UNHEALTHY_STATUS": "500",
    }
    assert mistakes_of(environ, {"log_level": "loud"}) == [
        "AWS_LWA_PORT: 'http' is not a port; use a number from 1 to 65535, 0 for any free port, or auto",
        "AWS_LWA_INVOKE_MODE: 'streaming' is not one of buffered, response_stream",
        "--log-level: 'loud' is not one of trace, debug, info, warn, error, fatal",
        "ADAPTER_BANDWITH: no option has this name; did you mean ADAPTER_BANDWIDTH?",
        "AWS_LWA_READINESS_CHECK_MIN_UNHEALTHY_STATUS: was removed; list the healthy statuses in "
        "AWS_LWA_READINESS_CHECK_HEALTHY_STATUS, for example 100-499",
    ]


def test_read_gives_the_mistakes_beside_a_config_of_defaults() -> None:
    config, mistakes = read({"AWS_LWA_PORT": "http", "AWS_LWA_HOST": "10.0.0.1"})
    assert len(mistakes) == 1
    assert (config.app_port, config.app_host) == (None, "10.0.0.1")


UNKNOWN = [
    pytest.param("ADAPTER_APP_SOCKT", "; did you mean ADAPTER_APP_SOCKET?", id="typo"),
    pytest.param("ADAPTER_PROT", "; did you mean ADAPTER_DEV_PORT?", id="typo-of-a-flag"),
    pytest.param("ADAPTER_XYZZY", "", id="nothing-like-it"),
    pytest.param("ADAPTER_", "", id="only-the-prefix"),
]


@pytest.mark.parametrize(("name", "hint"), UNKNOWN)
def test_an_unknown_variable_of_ours_is_a_mistake_with_the_nearest_name(name: str, hint: str) -> None:
    assert mistakes_of({name: "1"}) == [f"{name}: no option has this name{hint}"]


def test_an_unknown_variable_of_ours_is_a_mistake_even_if_empty() -> None:
    assert mistakes_of({"ADAPTER_LISTN": ""}) == [
        "ADAPTER_LISTN: no option has this name; did you mean ADAPTER_LISTEN?"
    ]


UNKNOWN_RUST = [
    pytest.param("AWS_LWA_PROT", "; did you mean AWS_LWA_PORT?", id="typo"),
    pytest.param("AWS_LWA_XYZZY_AND_MORE", "", id="nothing-like-it"),
]


@pytest.mark.parametrize(("name", "hint"), UNKNOWN_RUST)
def test_an_unknown_variable_of_the_rust_adapter_is_a_warning_with_the_nearest_name(name: str, hint: str) -> None:
    assert load({name: "1"}).warnings == [f"{name} is not known and has no effect{hint}"]


def test_other_programs_variables_are_ignored() -> None:
    environ = {"PATH": "/bin", "AWS_LAMBDA_SOMETHING_NEW": "1", "ADAPTERS": "1", "MY_ADAPTER_X": "1"}
    assert load(environ).warnings == []


@pytest.mark.parametrize("service", ["ADAPTER", "ADAPTER_STAGING"])
def test_what_kubernetes_sets_for_a_service_of_this_name_is_not_a_mistake(service: str) -> None:
    environ = {
        f"{service}_SERVICE_HOST": "10.96.0.1",
        f"{service}_SERVICE_PORT": "9000",
        f"{service}_SERVICE_PORT_HTTP": "9000",
        f"{service}_PORT": "tcp://10.96.0.1:9000",
        f"{service}_PORT_9000_TCP": "tcp://10.96.0.1:9000",
        f"{service}_PORT_9000_TCP_PROTO": "tcp",
        f"{service}_PORT_9000_TCP_PORT": "9000",
        f"{service}_PORT_9000_TCP_ADDR": "10.96.0.1",
    }
    assert load(environ).warnings == []


@pytest.mark.parametrize("name", ["ADAPTER_PORT", "ADAPTER_DEV_PORTS", "ADAPTER_SERVICE"])
def test_names_that_only_look_like_kubernetes_are_mistakes(name: str) -> None:
    assert mistakes_of({name: "9000"})[0].startswith(f"{name}: no option has this name")


CONTRADICTIONS = [
    pytest.param(
        {"ADAPTER_AS": "runtime"}, {}, "ADAPTER_AS: 'runtime' needs AWS_LAMBDA_RUNTIME_API", id="runtime-without-an-api"
    ),
    pytest.param({}, {"way_in": "runtime"}, "--as: 'runtime' needs AWS_LAMBDA_RUNTIME_API", id="the-same-by-flag"),
    pytest.param(
        {"ADAPTER_APP_SOCKET": "/s", "AWS_LWA_PORT": "1"},
        {},
        "ADAPTER_APP_SOCKET and AWS_LWA_PORT: the app is reached over a Unix socket or a port, not both",
        id="socket-and-port",
    ),
]


@pytest.mark.parametrize(("environ", "flags", "message"), CONTRADICTIONS)
def test_values_that_contradict_each_other_are_a_mistake(
    environ: dict[str, str], flags: dict[str, str], message: str
) -> None:
    [mistake] = mistakes_of(environ, flags)
    assert mistake.startswith(message)


# --- which way in ---------------------------------------------------------------------------------------------------

WAYS_IN = [
    pytest.param({}, False, id="nowhere"),
    pytest.param(ON_LAMBDA, True, id="lambda"),
    pytest.param({"AWS_LAMBDA_RUNTIME_API": ""}, False, id="empty"),
    pytest.param(ON_LAMBDA | {"ADAPTER_AS": "Proxy"}, False, id="proxy-on-lambda"),
    pytest.param(ON_LAMBDA | {"ADAPTER_AS": "runtime"}, True, id="runtime-on-lambda"),
    pytest.param(ON_LAMBDA | {"ADAPTER_AS": "auto"}, True, id="auto-on-lambda"),
]


@pytest.mark.parametrize(("environ", "expected"), WAYS_IN)
def test_auto_means_the_runtime_where_there_is_a_runtime_api(environ: dict[str, str], expected: bool) -> None:
    assert load(environ).on_lambda is expected
    assert is_on_lambda(environ) is expected


def test_a_flag_decides_the_way_in() -> None:
    assert not load(ON_LAMBDA, {"way_in": "proxy"}).on_lambda
    assert load(ON_LAMBDA | {"ADAPTER_AS": "proxy"}, {"way_in": "runtime"}).on_lambda


@pytest.mark.parametrize("first", ["", "import os; "], ids=["before-os-is-loaded", "afterwards"])
def test_a_variable_without_a_name_is_left_out(first: str) -> None:
    """It could not be passed on to the app. Only execve(2) itself makes one."""
    program = (
        f"{first}import sys; sys.path[:] = {sys.path!r}; from adapter.config.load import environment;"
        "environ = environment(); environ.pop('LC_CTYPE', None); print(environ)"
    )
    run = (
        "import ctypes; words = lambda *texts: (ctypes.c_char_p * (len(texts) + 1))(*texts, None);"
        f"arguments = words(b'python', b'-IS', b'-c', {program.encode()!r});"
        f"ctypes.CDLL(None).execve({sys.executable.encode()!r}, arguments, words(b'=x', b'A=\\xff\\n=', b'B=1'))"
    )
    done = subprocess.run([sys.executable, "-c", run], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "{'A': '\\udcff\\n=', 'B': '1'}\n"
