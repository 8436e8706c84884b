"""Ports: all are opened at once, and every conflict is reported with its owner and a remedy."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from adapter.config.load import load
from adapter.emulator.front_doors.door_settings import UrlSettings
from adapter.emulator.service.listening import open_inspector, open_listeners
from adapter.errors import ConfigurationError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="owners are found in /proc")


def taken(stack: ExitStack) -> int:
    port: int = stack.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
    return port


def refusal(flags: dict[str, str], environ: dict[str, str] | None = None) -> list[str]:
    config = load(environ or {}, flags)
    with pytest.raises(ConfigurationError) as mistake:
        open_listeners(UrlSettings(config))
    return mistake.value.mistakes


def test_the_settings_learn_which_ports_they_got() -> None:
    config = load({}, {"front_doors": "alb,rest-api", "dev_port": "0"})
    settings = UrlSettings(config)
    sockets = open_listeners(settings)
    ports = [listener.getsockname()[1] for listener in sockets]
    for listener in sockets:
        listener.close()
    assert [door.port for door in settings.doors] == ports[:2]
    assert settings.invoke_port == ports[2]
    assert len(set(ports)) == 3


def assert_suggests_a_free_port(mistake: str, before: str) -> None:
    _, _, suggested = mistake.partition(before)
    socket.create_server(("127.0.0.1", int(suggested))).close()


def test_every_port_that_is_taken_is_reported_with_its_owner_and_a_way_out() -> None:
    with ExitStack() as stack:
        url, alb, invoke = (taken(stack) for _ in range(3))
        owner = f"pid {os.getpid()} ("
        first, second = refusal({"dev_port": str(url), "invoke_port": str(invoke)})
        assert first.startswith(f"--port: '{url}' is taken by {owner}")
        assert_suggests_a_free_port(first, "for example --port ")
        assert second.startswith(f"--invoke-port: '{invoke}' is taken by {owner}")
        assert_suggests_a_free_port(second, "for example --invoke-port ")
        (door,) = refusal({"front_doors": f"alb:{alb}", "invoke_port": "0"})
        assert door.startswith(f"--front-door: '{alb}' is taken by {owner}")
        assert_suggests_a_free_port(door, "for example --front-door alb:")


def test_a_variable_is_named_where_it_was_one() -> None:
    with ExitStack() as stack:
        port = taken(stack)
        (mistake,) = refusal({"dev_port": "0"}, {"ADAPTER_INVOKE_PORT": str(port)})
        assert mistake.startswith(f"ADAPTER_INVOKE_PORT: '{port}' is taken")


@pytest.mark.parametrize(
    ("flags", "port", "users"),
    [
        pytest.param({"front_doors": "alb:8080,lattice:8080"}, 8080, "alb and lattice", id="two-doors"),
        pytest.param(
            {"front_doors": "alb:3001"}, 3001, "alb and the Invoke APIs (--invoke-port)", id="the-invoke-apis"
        ),
        pytest.param(
            {"dev_port": "8080", "invoke_port": "8080"},
            8080,
            "--port and the Invoke APIs (--invoke-port)",
            id="both-flags",
        ),
        pytest.param(
            {"dev_port": "8080", "front_doors": "alb:8080,lattice"}, 8080, "alb and --port", id="a-door-and-port"
        ),
    ],
)
def test_a_port_that_is_given_twice_is_no_other_processs_fault(flags: dict[str, str], port: int, users: str) -> None:
    assert refusal(flags) == [f"port {port} is given twice: {users}; give each a port of its own"]


def test_the_last_port_of_all_leaves_none_for_the_invoke_apis() -> None:
    assert refusal({"dev_port": "65535"}) == [
        "--port: '65535' is the highest port, so the Invoke APIs cannot use the next port; "
        "set the port of the Invoke APIs with --invoke-port"
    ]


def test_idle_connections_cannot_use_up_the_descriptors() -> None:
    """With 128 descriptors and two listeners, only the client that is idle for longest is disconnected."""
    listening = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128));"
    code = f"{listening} import sys; from adapter.__main__ import main; sys.exit(main())"
    arguments = ["dev", "--port", "0", "--", sys.executable]
    with (
        subprocess.Popen([sys.executable, "-I", "-c", code, *arguments], stderr=subprocess.PIPE, text=True) as process,
        ExitStack() as stack,
    ):
        stack.callback(process.terminate)
        assert process.stderr is not None
        line = next(line for line in process.stderr if "--endpoint-url" in line)
        port = int(line.partition("127.0.0.1:")[2].partition("/")[0])
        for _ in range(200):
            stack.enter_context(socket.create_connection(("127.0.0.1", port)))
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        client.request("GET", "/_adapter/status")
        assert client.getresponse().status == 200
        client.close()


def test_nothing_stays_open_after_a_refusal() -> None:
    with ExitStack() as stack:
        invoke, free = taken(stack), socket.create_server(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        refusal({"dev_port": str(port), "invoke_port": str(invoke)})
        socket.create_server(("127.0.0.1", port)).close()


@pytest.mark.parametrize("name", ["sam"])
def test_sam_local_is_called_by_its_name(tmp_path: Path, name: str) -> None:
    """What is started has the command line of ``sam local start-api``, which uses the same two ports."""
    script = tmp_path / name
    script.write_text(
        "import socket, sys\n"
        "listener = socket.create_server(('127.0.0.1', 0))\n"
        "print(listener.getsockname()[1], flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, str(script), "local", "start-api"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        port = other.stdout.readline().strip()
        (mistake,) = refusal({"dev_port": port, "invoke_port": "0"})
        assert other.stdin is not None
        other.stdin.close()
    assert "which is sam local" in mistake


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        pytest.param({"dev_host": "192.0.2.1"}, "--host: '192.0.2.1' is not an address of this machine", id="address"),
        pytest.param({"dev_host": "no.such.host.invalid"}, "--host: 'no.such.host.invalid' cannot be", id="name"),
    ],
)
def test_a_host_that_cannot_be_listened_on_is_told_once(flags: dict[str, str], why: str) -> None:
    (mistake,) = refusal(flags | {"dev_port": "0"})
    assert mistake.startswith(why)
    assert mistake.endswith("--host 127.0.0.1")


# --- the inspector ---------------------------------------------------------------------------------------------------


def inspector_port(flags: dict[str, str], *, invoke_port: int) -> tuple[int | None, list[str]]:
    """Return the port of the inspector of a dev whose Invoke APIs are on ``invoke_port``, and the warnings."""
    warnings: list[str] = []
    settings = UrlSettings(load({}, {"dev_port": str(invoke_port - 1)} | flags))
    listener = open_inspector(settings, lambda text, level="info", reason="": warnings.append(f"{level}: {text}"))
    if listener is None:
        return None, warnings
    host, port = listener.getsockname()
    listener.close()
    assert host == "127.0.0.1"
    return port, warnings


def test_the_inspector_gets_the_first_free_port_after_all_others() -> None:
    with ExitStack() as stack:
        first = taken(stack)
        port, warnings = inspector_port({}, invoke_port=first - 1)
        assert port is not None
        assert port > first
        assert not warnings
    assert inspector_port({"no_inspector": "true"}, invoke_port=first) == (None, [])


def test_without_a_free_port_there_is_a_warning_and_no_inspector() -> None:
    with ExitStack() as stack:
        with suppress(OSError):
            stack.enter_context(socket.create_server(("127.0.0.1", 65535)))
        port, warnings = inspector_port({}, invoke_port=65534)
    assert port is None
    assert warnings == ["warn: the inspector is off: no port after 65534 is free; name a port with --inspector"]


def test_only_a_port_that_was_asked_for_must_be_free() -> None:
    with ExitStack() as stack:
        port = taken(stack)
        with pytest.raises(ConfigurationError) as mistake:
            inspector_port({"inspector": str(port)}, invoke_port=3001)
        [text] = mistake.value.mistakes
        assert text.startswith(f"--inspector: '127.0.0.1:{port}' is taken by pid {os.getpid()} (")
    assert inspector_port({"inspector": str(port)}, invoke_port=3001) == (port, [])
    assert "port 3000 is given twice" in refusal({"dev_port": "3000", "inspector": "3000"})[0]
