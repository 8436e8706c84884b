"""``adapter check``: what it makes of settings, of ports, and of an app that listens."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapter.cli import check
from adapter.cli.check import Report, examine
from tests.scripted_app import PATIENCE, ScriptedApp, response
from tests.unused_port import unused_port

GROUPS = ("app", "readiness", "responses", "streams", "proxy", "logs")
LAMBDA = {"AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9001"}


@pytest.fixture
def app() -> Iterator[ScriptedApp]:
    with ScriptedApp() as scripted:
        yield scripted


def examined(environ: dict[str, str], *command: str, **flags: str) -> Report:
    """Return the report on these settings, on ports that are free unless the settings say otherwise."""
    free = {"AWS_LWA_PORT": str(unused_port()), "ADAPTER_LISTEN": f"127.0.0.1:{unused_port()}"}
    settings = {name: value for name, value in (free | {"PATH": os.environ["PATH"]} | environ).items() if value}
    return examine(settings, flags, list(command), GROUPS)


def row(report: Report, name: str) -> tuple[str, str]:
    """Return a setting's value and its source."""
    [found] = [setting for setting in report.settings if setting.name == name]
    return found.value, found.source


def test_all_is_well_where_nothing_is_in_the_way() -> None:
    report = examined({})

    assert (report.exit_code, report.mistakes, report.problems, report.warnings) == (0, [], [], [])
    assert str(report.app).startswith("Nothing listens on 127.0.0.1:")


@pytest.mark.parametrize(
    ("environ", "command", "flags", "name", "expected"),
    [
        pytest.param({}, [], {}, "bandwidth", ("lambda", "default"), id="default"),
        pytest.param({}, [], {}, "app_idle_timeout", ("0.5", "default"), id="default-number"),
        pytest.param({}, [], {}, "compression", ("false", "default"), id="default-switch"),
        pytest.param({}, [], {}, "app_socket", ("none", "default"), id="no-default"),
        pytest.param(
            {"ADAPTER_GRACE": "3"}, [], {"grace": "4"}, "grace", ("4", "--grace"), id="a-flag-wins-over-a-variable"
        ),
        pytest.param(
            {"READINESS_CHECK_PATH": "/up"}, [], {}, "readiness_path", ("/up", "READINESS_CHECK_PATH"), id="deprecated"
        ),
        pytest.param({"AWS_LWA_PORT": "1"}, [], {}, "app_port", ("1", "AWS_LWA_PORT"), id="app-port"),
        pytest.param({"AWS_LWA_PORT": "", "PORT": "7"}, [], {}, "app_port", ("7", "PORT"), id="app-port-by-PORT"),
        pytest.param({"AWS_LWA_PORT": ""}, [], {}, "app_port", ("8080", "default"), id="default-app-port"),
        pytest.param(
            {"AWS_LWA_PORT": ""},
            [sys.executable, "{port}"],
            {},
            "app_port",
            ("any free port", "{port} in CMD"),
            id="app-port-by-CMD",
        ),
        pytest.param(
            {"AWS_LWA_PORT": "", "ADAPTER_APP_SOCKET": "/nowhere/app.sock"},
            [],
            {},
            "app_port",
            ("none", "ADAPTER_APP_SOCKET"),
            id="a-socket-and-no-port",
        ),
        pytest.param(
            {"ADAPTER_LISTEN": "127.0.0.1:0"}, [], {}, "listen", ("127.0.0.1:0", "ADAPTER_LISTEN"), id="listen"
        ),
        pytest.param(
            {"ADAPTER_LISTEN": "", "PORT": "7777"}, [], {}, "listen", ("0.0.0.0:7777", "PORT"), id="listen-by-PORT"
        ),
        pytest.param({"ADAPTER_LISTEN": ""}, [], {}, "listen", ("127.0.0.1:9000", "default"), id="default-listen"),
        pytest.param({}, [], {}, "invoke_mode", ("response_stream", "default"), id="mode-of-the-proxy"),
        pytest.param(LAMBDA, [], {}, "invoke_mode", ("buffered", "default"), id="mode-on-lambda"),
        pytest.param({}, [], {}, "stream_limit", ("none", "default"), id="limit-of-the-proxy"),
        pytest.param(LAMBDA, [], {}, "runtime_api", ("127.0.0.1:9001", "AWS_LAMBDA_RUNTIME_API"), id="platform"),
    ],
)
def test_a_setting_is_shown_as_it_is_in_force(
    environ: dict[str, str], command: list[str], flags: dict[str, str], name: str, expected: tuple[str, str]
) -> None:
    assert row(examined(environ, *command, **flags), name) == expected


def test_what_the_platform_did_not_set_is_not_shown() -> None:
    assert "platform" not in {setting.group for setting in examined({}).settings}


def test_every_mistake_is_named_and_its_text_is_shown() -> None:
    report = examined({"ADAPTER_LISTENS": "1"}, "no-such-program", app_port="x", grace="soon")

    assert report.exit_code == 2
    assert [mistake.partition(":")[0] for mistake in report.mistakes] == [
        "--app-port",
        "--grace",
        "ADAPTER_LISTENS",
        "CMD",
    ]
    assert row(report, "grace") == ("soon", "--grace")
    assert report.summary is None


@pytest.mark.parametrize(
    ("command", "app_dir", "mistake"),
    [
        pytest.param("./run.sh", "{app}", None, id="a-path-in-the-app's-folder"),
        pytest.param("./run.sh", "", "CMD: './run.sh' is not a program", id="a-path-in-another-folder"),
        pytest.param("./data", "{app}", "CMD: './data' is not a program", id="not-executable"),
        pytest.param("sh", "{app}", None, id="a-name-on-PATH"),
        pytest.param("sh", "{app}/data", "ADAPTER_APP_DIR: ", id="no-folder"),
    ],
)
def test_cmd_is_found_as_it_would_be_started(command: str, app_dir: str, mistake: str | None, tmp_path: Path) -> None:
    (tmp_path / "run.sh").touch(mode=0o755)
    (tmp_path / "data").touch(mode=0o644)

    report = examined({"ADAPTER_APP_DIR": app_dir.format(app=tmp_path)}, command)

    if mistake is None:
        assert report.mistakes == []
    else:
        assert report.exit_code == 2
        assert report.mistakes[0].startswith(mistake)


def test_the_proxy_where_the_app_is_is_a_mistake() -> None:
    report = examined({"AWS_LWA_PORT": "8123", "ADAPTER_LISTEN": "127.0.0.1:8123"})

    assert report.exit_code == 2
    assert "use two different ports" in report.mistakes[0]


@pytest.mark.parametrize("name", ["listen", "admin"])
def test_a_taken_port_is_named_with_its_owner(name: str, app: ScriptedApp) -> None:
    report = examined({}, **{name: f"127.0.0.1:{app.port}"})

    assert report.exit_code == 1
    [problem] = report.problems
    assert problem.startswith(f"--{name}: 127.0.0.1:{app.port} is taken by ")
    if sys.platform == "linux":
        assert f"pid {os.getpid()} (" in problem


def test_an_address_of_another_machine_cannot_be_listened_on() -> None:
    [problem] = examined({"ADAPTER_LISTEN": "192.0.2.1:8000"}).problems

    assert problem.startswith("--listen: 192.0.2.1:8000 cannot be listened on")


def test_an_app_that_listens_is_asked_whether_it_is_ready(app: ScriptedApp) -> None:
    report = examined({"AWS_LWA_PORT": str(app.port)})

    assert report.exit_code == 0
    assert report.app == f"The app on 127.0.0.1:{app.port} is ready."


def test_an_app_on_a_unix_socket_is_asked_as_well(tmp_path: Path) -> None:
    path = str(tmp_path / "app.sock")
    with ScriptedApp(path=path):
        report = examined({"AWS_LWA_PORT": "", "ADAPTER_APP_SOCKET": path})

    assert report.app == f"The app on unix:{path} is ready."


def test_an_app_that_is_not_ready_is_a_problem(app: ScriptedApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "PROBE_SECONDS", 0.05)
    app.default = response(b"", status=503)

    report = examined({"AWS_LWA_PORT": str(app.port)})

    assert report.exit_code == 1
    [problem] = report.problems
    assert "answered 503" in problem
    assert report.warnings == [], "the problem is not said twice"


def test_a_port_that_cmd_could_not_have_is_a_problem(app: ScriptedApp) -> None:
    report = examined({"AWS_LWA_PORT": str(app.port)}, sys.executable, __file__)

    assert report.exit_code == 1
    assert f"127.0.0.1:{app.port} is taken by " in report.problems[0]


def test_on_lambda_there_is_nothing_to_listen_on(app: ScriptedApp) -> None:
    report = examined({**LAMBDA, "ADAPTER_LISTEN": f"127.0.0.1:{app.port}"})

    assert report.exit_code == 0
    assert str(report.summary).startswith("adapter run would relay invocations from 127.0.0.1:9001 to the app on ")


def test_the_table_has_headings_columns_and_what_is_wrong() -> None:
    report = examined({"AWS_LWA_TYPO": "1"}, "no-such-program", grace="2")

    text = report.as_text({"proxy": "The proxy", "logs": "Logs"}, with_defaults=True)

    lines = text.splitlines()
    assert lines[0] == "Set"
    assert lines.index("The proxy, defaults") > lines.index("Set")
    assert [line.split()[-1] for line in lines if line.startswith("  --log-level ")] == ["default"]
    [grace] = [line for line in lines if line.startswith("  --grace ")]
    assert grace.split() == ["--grace", "2", "--grace"]
    assert lines[lines.index("Mistakes") + 1].startswith("  CMD: 'no-such-program'")
    assert lines[lines.index("Warnings") + 1].startswith("  AWS_LWA_TYPO")
    assert "Problems" not in lines
    assert lines[-1] == report.verdict == "1 mistake: adapter run would refuse to start."


def test_what_is_set_comes_first_and_defaults_only_on_demand() -> None:
    report = examined({"ADAPTER_LISTEN": ""}, grace="2")

    lines = report.as_text({"proxy": "The proxy", "logs": "Logs"}).splitlines()

    assert lines[1:3] == ["", "Set"]
    assert [line.split()[0] for line in lines if line.startswith("  --")] == ["--app-port", "--grace"]
    assert lines[6].endswith(" settings at the default (--all shows them)")


@pytest.mark.parametrize(
    ("flags", "code", "verdict"),
    [
        pytest.param({}, 0, "No mistakes: adapter run can start.", id="well"),
        pytest.param({"listen": "192.0.2.1:1"}, 1, "1 problem at the moment, so adapter run would", id="problem"),
        pytest.param({"grace": "x", "app_port": "y"}, 2, "2 mistakes: adapter run would refuse", id="mistakes"),
    ],
)
def test_the_verdict_says_what_the_exit_code_says(flags: dict[str, str], code: int, verdict: str) -> None:
    report = examined({}, **flags)

    assert report.exit_code == code
    assert report.as_text({}).splitlines()[-1].startswith(verdict)
    assert json.loads(report.as_json())["verdict"] == report.verdict


def test_the_command_line_prints_text_and_json(app: ScriptedApp) -> None:
    flags = ["--app-port", str(app.port), "--listen", "127.0.0.1:0"]

    def run(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-I", "-m", "adapter", "check", *flags, *more],
            env={"PATH": os.environ["PATH"]},
            capture_output=True,
            encoding="utf-8",
            timeout=PATIENCE,
            check=False,
        )

    text, report, mistaken = run(), run("--log-format", "json"), run("--", "no-such-program")

    assert (text.returncode, text.stderr) == (0, "")
    assert text.stdout.startswith("adapter run would relay plain HTTP from 127.0.0.1:0 to the app on 127.0.0.1:")
    assert "\nThe proxy, defaults\n" not in text.stdout
    assert "\nThe proxy, defaults\n" in run("--all").stdout
    assert report.returncode == 0
    assert json.loads(run("--format", "json").stdout)["verdict"] == json.loads(report.stdout)["verdict"]
    document = json.loads(report.stdout)
    assert document["settings"]["app_port"] == {"value": str(app.port), "from": "--app-port"}
    assert document["mistakes"] == document["problems"] == document["warnings"] == []
    assert mistaken.returncode == 2


def test_an_app_on_the_port_of_a_platform_is_a_warning() -> None:
    report = examined({"AWS_LWA_PORT": "", "ADAPTER_LISTEN": "", "PORT": str(unused_port())}, "true")

    [warning] = report.warnings
    assert "bypass the proxy" in warning
