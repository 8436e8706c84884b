"""The settings that the options result in, and the contradictions among them."""

from __future__ import annotations

import pytest

from adapter.config.load import load
from adapter.emulator.function_settings import FunctionSettings, function_settings
from adapter.emulator.sandbox.runtime_command import runtime_command
from adapter.errors import ConfigurationError

APP = ["serve", "--port", "{port}"]


def settings(flags: dict[str, str], command: list[str] | None = None) -> FunctionSettings:
    return function_settings(load({}, flags), APP if command is None else command)


def test_by_default_there_are_ten_on_demand_environments() -> None:
    found = settings({})
    assert (found.environments, found.max_concurrency, found.provisioned, found.queue) == (10, 1, 0, True)
    assert found.initialization_type(provisioned=False) == "on-demand"
    assert found.init_limit_for("on-demand") == 10
    assert found.arn == "arn:aws:lambda:us-east-1:123456789012:function:local"


def test_managed_instances_have_a_longer_timeout() -> None:
    assert settings({"timeout": "5400", "concurrency": "2"}).timeout == 5400


@pytest.mark.parametrize(
    ("flags", "command", "reason"),
    [
        pytest.param({}, ["serve"], "CMD has no {port}", id="no-port-in-cmd"),
        pytest.param({"app_port": "8000"}, APP, "--app-port makes all environments use the same port", id="one-port"),
        pytest.param({"app_socket": "/tmp/s"}, APP, "the same Unix socket", id="one-socket"),
    ],
)
def test_apps_that_would_use_the_same_address_have_one_environment(
    flags: dict[str, str], command: list[str], reason: str
) -> None:
    found = settings(flags, command)
    assert found.environments == 1
    assert reason in found.only_one_because


@pytest.mark.parametrize(
    ("flags", "kind"),
    [
        pytest.param({"provisioned": "1"}, "provisioned-concurrency", id="provisioned"),
        pytest.param({"snapstart": "true"}, "snap-start", id="snapstart"),
        pytest.param({"concurrency": "4"}, "lambda-managed-instances", id="managed-instances"),
    ],
)
def test_an_init_that_no_invocation_waits_for_may_take_longer(flags: dict[str, str], kind: str) -> None:
    assert settings(flags).initialization_type(provisioned=True) == kind
    assert settings(flags | {"timeout": "3"}).init_limit_for(kind) == 130
    assert settings(flags | {"timeout": "300"}).init_limit_for(kind) == 300


@pytest.mark.parametrize(
    ("flags", "command", "mistake"),
    [
        pytest.param({"timeout": "1801"}, APP, "--timeout: '1801' is not possible: Lambda allows 1800 s", id="timeout"),
        pytest.param({"environments": "2"}, ["serve"], "--environments: '2'", id="environments-without-port"),
        pytest.param({"provisioned": "1", "environments": "1"}, APP, "", id="fits"),
        pytest.param({"provisioned": "3", "environments": "2"}, APP, "--environments allows 2", id="provisioned"),
        pytest.param({"provisioned": "2"}, ["serve"], "CMD has no {port}", id="provisioned-without-port"),
        pytest.param({"freeze": "true", "concurrency": "2"}, APP, "never frozen", id="freeze-instances"),
        pytest.param(
            {"snapstart": "true", "provisioned": "1"}, APP, "cannot combine these options", id="snapstart-provisioned"
        ),
        pytest.param(
            {"snapstart": "true", "concurrency": "2"}, APP, "cannot combine these options", id="snapstart-instances"
        ),
        pytest.param({"runtime": "boot"}, APP, "--runtime and CMD", id="runtime-and-cmd"),
        pytest.param({"runtime": "boot 'x"}, [], "is not a command", id="runtime-quotes"),
    ],
)
def test_contradictions_are_named(flags: dict[str, str], command: list[str], mistake: str) -> None:
    if not mistake:
        settings(flags, command)
        return
    with pytest.raises(ConfigurationError) as error:
        settings(flags, command)
    assert mistake in str(error.value)


def test_the_command_of_another_runtime_is_split_as_in_a_shell() -> None:
    config = load({}, {"runtime": "python -m ric 'my app.handler'"})
    assert runtime_command(config, []) == ["python", "-m", "ric", "my app.handler"]
    assert function_settings(config, []).environments == 10
    assert runtime_command(load({}), APP)[-5:] == ["run", "--", *APP]
