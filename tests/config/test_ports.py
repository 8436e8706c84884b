"""The app's port, and the address of the proxy."""

from __future__ import annotations

import socket

import pytest

from adapter.config.load import load
from adapter.config.ports import (
    bypass_warnings,
    placeholder_warnings,
    resolve_app_port,
    resolve_listen,
)
from adapter.errors import ConfigurationError
from adapter.net.address import Address

APP_PORTS = [
    pytest.param({}, ["serve"], 8080, id="default"),
    pytest.param({"PORT": "3000"}, ["serve"], 3000, id="PORT"),
    pytest.param({"PORT": "3000", "AWS_LWA_PORT": "4000"}, ["serve"], 4000, id="option-over-PORT"),
    pytest.param({"AWS_LWA_PORT": "4000"}, ["serve", "--port", "{port}"], 4000, id="option-over-placeholder"),
]


@pytest.mark.parametrize(("environ", "command", "port"), APP_PORTS)
def test_the_option_comes_before_port_and_that_before_8080(
    environ: dict[str, str], command: list[str], port: int
) -> None:
    resolved, filled = resolve_app_port(load(environ), command)
    assert resolved == port
    assert filled == [argument.replace("{port}", str(port)) for argument in command]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_placeholder_is_a_free_port_of_the_apps_host_wherever_it_occurs(host: str) -> None:
    config = load({"PORT": "3000", "AWS_LWA_HOST": host})
    port, command = resolve_app_port(config, ["serve", "{port}", "--bind=127.0.0.1:{port}", "{PORT}"])
    assert port not in (3000, 8080)
    assert command == ["serve", str(port), f"--bind=127.0.0.1:{port}", "{PORT}"]
    with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET):
        assert resolve_app_port(config, ["{port}"])[0] != port


LISTEN = [
    pytest.param({}, 8080, Address(host="127.0.0.1", port=9000), id="default"),
    pytest.param({"PORT": "3000"}, 8080, Address(host="0.0.0.0", port=3000), id="PORT-of-a-platform"),
    pytest.param({"PORT": "8080"}, 8080, Address(host="127.0.0.1", port=9000), id="PORT-is-the-apps"),
    pytest.param({"PORT": "3000", "ADAPTER_LISTEN": "[::1]:5000"}, 8080, Address(host="::1", port=5000), id="option"),
    pytest.param({"ADAPTER_LISTEN": "5000"}, 8080, Address(host="0.0.0.0", port=5000), id="port-alone"),
    pytest.param({"ADAPTER_LISTEN": "127.0.0.1:0"}, 8080, Address(host="127.0.0.1", port=0), id="any-free-port"),
    pytest.param(
        {"ADAPTER_LISTEN": "127.0.0.1:8080", "ADAPTER_APP_SOCKET": "/s"},
        8080,
        Address(host="127.0.0.1", port=8080),
        id="socket",
    ),
]


@pytest.mark.parametrize(("environ", "app_port", "expected"), LISTEN)
def test_the_proxy_listens_on_the_options_address_or_on_the_platforms_port(
    environ: dict[str, str], app_port: int, expected: tuple[str, int]
) -> None:
    assert resolve_listen(load(environ), app_port) == expected


CLASHES = [
    pytest.param(
        {"ADAPTER_LISTEN": "0.0.0.0:8080"}, 8080, "ADAPTER_LISTEN: 0.0.0.0:8080 has the same port as the app", id="app"
    ),
    pytest.param({}, 9000, "--listen: 127.0.0.1:9000 has the same port as the app", id="default"),
    pytest.param(
        {"PORT": "5000", "ADAPTER_ADMIN": "127.0.0.1:5000"},
        8080,
        "PORT: 0.0.0.0:5000 has the same port as --admin",
        id="port",
    ),
    pytest.param(
        {"ADAPTER_LISTEN": "127.0.0.1:5000", "ADAPTER_ADMIN": "127.0.0.1:5000"},
        8080,
        "ADAPTER_LISTEN: 127.0.0.1:5000 has the same port as --admin",
        id="admin",
    ),
    pytest.param(
        {"ADAPTER_ADMIN": "[::1]:8080"},
        8080,
        "ADAPTER_ADMIN: [::1]:8080 has the same port as the app; use two different ports",
        id="admin-where-the-app-is",
    ),
]


@pytest.mark.parametrize(("environ", "app_port", "message"), CLASHES)
def test_equal_ports_are_a_mistake(environ: dict[str, str], app_port: int, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        resolve_listen(load(environ), app_port)
    assert message in caught.value.mistakes[0]


@pytest.mark.parametrize(
    ("command", "slips"),
    [
        pytest.param(["serve", "--port", "{prot}"], ["{prot}"], id="slip"),
        pytest.param(["serve", "--bind", "0.0.0.0:{Port}"], ["{Port}"], id="within-a-word"),
        pytest.param(["serve", "--port", "{port}", "{prot}"], [], id="beside-the-right-one"),
        pytest.param(["serve", "{host}", "{", "{}", "{port"], [], id="other-braces"),
        pytest.param(["serve", "$PORT", "{port}"], [], id="a-variable-beside-the-right-one"),
        pytest.param(["/bin/sh", "-c", "serve $PORT"], [], id="a-variable-in-a-shell"),
    ],
)
def test_a_typo_of_the_placeholder_causes_a_warning(command: list[str], slips: list[str]) -> None:
    warnings = list(placeholder_warnings(command))
    assert warnings == [
        f"CMD: {slip} is not replaced; did you mean {{port}}, which stands for a free port?" for slip in slips
    ]


@pytest.mark.parametrize("variable", ["$PORT", "${PORT}"])
def test_a_variable_that_no_shell_replaces_causes_a_warning(variable: str) -> None:
    assert list(placeholder_warnings(["serve", "--bind", f"0.0.0.0:{variable}"])) == [
        f"CMD: {variable} is not replaced, since CMD runs without a shell; use {{port}} or sh -c '…'"
    ]


def test_an_app_on_the_port_of_a_platform_causes_a_warning_with_both_ports_and_the_way_out() -> None:
    [warning] = bypass_warnings(load({"PORT": "8123"}), ["node", "server.js"])

    for part in (
        "the app gets this port",
        "127.0.0.1:9000",
        "port 8123 bypass",
        "{port} in CMD",
        "--app-port 0",
        "--listen",
    ):
        assert part in warning


@pytest.mark.parametrize(
    ("environ", "command"),
    [
        pytest.param({}, ["serve"], id="no-PORT"),
        pytest.param({"PORT": "8123"}, ["serve", "{port}"], id="placeholder"),
        pytest.param({"PORT": "8123"}, [], id="no-CMD"),
        pytest.param({"PORT": "8123", "AWS_LWA_PORT": "0"}, ["serve"], id="any-port"),
        pytest.param({"PORT": "8123", "ADAPTER_LISTEN": "0.0.0.0:8000"}, ["serve"], id="listen"),
        pytest.param({"PORT": "8123", "ADAPTER_APP_SOCKET": "/s"}, ["serve"], id="socket"),
        pytest.param({"PORT": "8123", "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9001"}, ["serve"], id="on-lambda"),
    ],
)
def test_a_port_that_cannot_be_bypassed_by_surprise_causes_no_warning(
    environ: dict[str, str], command: list[str]
) -> None:
    assert list(bypass_warnings(load(environ), command)) == []
