"""The command line as people meet it: real processes, exit codes, and never a traceback."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from shutil import which

import pytest

from adapter import __version__
from adapter.cli.command_line import cli
from adapter.config.load import Config
from tests.scripted_app import PATIENCE, Received, ScriptedApp
from tests.scripted_runtime_api import ScriptedRuntimeApi

# Which groups of options each command has.
GROUPS = {
    "run": {"app", "readiness", "requests", "responses", "streams", "proxy", "lambda", "logs"},
    "dev": {"app", "readiness", "requests", "responses", "streams", "dev", "logs"},
    "check": {"app", "readiness", "requests", "responses", "streams", "proxy", "lambda", "logs"},
}
REPOSITORY = Path(__file__).resolve().parent.parent.parent
# Commands that need no page.
WITHOUT_PAGE = {"completion", "help", "version"}


def adapter(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """``adapter`` with these arguments and variables, run to its end; nothing it does may show a traceback."""
    done = subprocess.run(
        [sys.executable, "-I", "-m", "adapter", *arguments],
        env={"PATH": os.environ["PATH"], "COLUMNS": "200", **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def in_one_line(text: str) -> str:
    """Return ``text`` on one line. Lines of help also end behind hyphens."""
    return re.sub(r"(?<=\w-) ", "", " ".join(text.split()))


@pytest.mark.parametrize("command", GROUPS)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_the_help_of_a_command_is_a_page_with_what_one_needs_first(command: str, flag: str) -> None:
    done = adapter(command, flag, COLUMNS="80")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert 25 < len(lines) <= 50
    assert f"All options, by topic: adapter {command} --help-all" in lines
    shown = set(re.findall(r"^  (--[a-z-]+)", done.stdout, re.MULTILINE))
    assert {"--app-port", "--app-dir", "--invoke-mode"} <= shown
    assert "AWS_LWA" not in done.stdout
    assert adapter("help", command, COLUMNS="80").stdout == done.stdout


@pytest.mark.parametrize("command", GROUPS)
def test_all_help_of_a_command_lists_every_option_it_has_and_no_other(command: str) -> None:
    done = adapter(command, "--help-all")
    assert adapter("help", "--all", command).stdout == done.stdout
    assert done.stdout in adapter("--help-all").stdout
    assert (done.returncode, done.stderr) == (0, "")
    shown = set(re.findall(r"^  (--[a-z-]+)", done.stdout, re.MULTILINE))
    for option in Config.options.values():
        if option.flag is not None:
            assert (option.flag in shown) == (option.group in GROUPS[command]), option.flag


@pytest.mark.parametrize("command", GROUPS)
def test_the_help_shows_what_an_option_does_its_default_and_its_variables(command: str) -> None:
    shown = in_one_line(adapter(command, "--help-all").stdout)
    for option in Config.options.values():
        if option.flag is not None and option.group in GROUPS[command]:
            assert in_one_line(option.description.replace("`", "")) in shown, option.name
            for variable in option.env:
                assert variable in shown
    assert "default: 127.0.0.1; AWS_LWA_HOST" in shown
    assert "default: 120; AWS_LWA_READINESS_CHECK_TIMEOUT_SECONDS" in shown


@pytest.mark.parametrize("command", [(), *((name,) for name in cli.commands if name not in WITHOUT_PAGE)])
def test_the_help_of_a_command_names_its_pages(command: tuple[str, ...]) -> None:
    last = adapter(*command, "--help").stdout.splitlines()[-1].strip()

    assert re.fullmatch(r"Guides?: docs/[a-z/-]+\.md(, docs/[a-z/-]+\.md)*", last), last


def test_every_page_that_the_adapter_names_is_there() -> None:
    """In help, messages, comments and the explanations of errors, whose links lead on from docs/."""
    named = {
        page
        for path in [*REPOSITORY.glob("adapter/**/*.py"), REPOSITORY / "adapter/cli/error_names.json"]
        for page in re.findall(r"docs/[\w/-]+\.md", path.read_text("utf-8"))
    }
    linked = re.findall(r"\]\(([\w/-]+\.md)", (REPOSITORY / "adapter/cli/error_names.json").read_text("utf-8"))

    assert {"docs/dev.md", "docs/errors.md", "docs/options.md"} <= named
    assert not [page for page in named | {f"docs/{page}" for page in linked} if not (REPOSITORY / page).is_file()]


def test_the_help_of_the_program_names_its_commands() -> None:
    done = adapter("--help")
    assert done.returncode == 0
    assert adapter("help").stdout == done.stdout
    for command in (*GROUPS, "health", "invoke", "event", "error", "completion", "help", "version"):
        [line] = [line for line in done.stdout.splitlines() if line.startswith(f"  {command} ")]
        assert line.endswith("."), "its summary is whole"
        assert not line.endswith("...")


@pytest.mark.parametrize("flag", ["--version", "-V", "version"])
def test_the_version_is_that_of_the_package(flag: str) -> None:
    done = adapter(flag)
    assert (done.returncode, done.stdout) == (0, f"adapter, version {__version__}\n")


WRONG = [
    pytest.param([], "Usage: adapter", id="nothing"),
    pytest.param(
        ["foo"],
        "No such command 'foo'; the commands are check, completion, dev, error, event, health, help, ",
        id="no-such-command",
    ),
    pytest.param(["help", "nope"], "No such command 'nope'; the commands are ", id="a-word-that-resembles-invoke"),
    pytest.param(["serve"], "did you mean adapter run, or adapter dev for Lambda on this machine?", id="other-word"),
    pytest.param(["invok", "x"], "No such command 'invok'; did you mean invoke?", id="misspelt-command"),
    pytest.param(
        ["uvicorn", "main:app", "--port", "{port}"],
        "No such command 'uvicorn'; to run 'uvicorn' as the app: adapter dev -- uvicorn main:app --port '{port}'",
        id="a-server-as-the-command",
    ),
    pytest.param(["./run.sh"], "to run './run.sh' as the app: adapter dev -- ./run.sh", id="a-script-as-the-command"),
    pytest.param(["help", "dve"], "No such command 'dve'; did you mean dev?", id="help-of-no-command"),
    pytest.param(["--port", "3000"], "No such option --port; it is an option of adapter dev", id="before-the-command"),
    pytest.param(["error", "AppNotRedy"], "did you mean Adapter.AppNotReady?", id="no-such-error"),
    pytest.param(["event", "apigateway"], "; did you mean http-api or rest-api?", id="a-door-by-its-service"),
    pytest.param(
        ["dev", "--front-door", "API-Gateway", "--", "true"], "did you mean http-api or rest-api?", id="dev-door"
    ),
    pytest.param(["run", "--app-port", "auto", "--", "true"], "'auto' is possible only in adapter dev", id="run-auto"),
    pytest.param(["run", "--app-port", "0"], "--app-port: '0' works only with CMD", id="a-free-port-without-a-command"),
    pytest.param(["run", "--prot", "1"], "No such option", id="no-such-option"),
    pytest.param(["dev", "--nope"], "No such option --nope\n", id="a-flag-that-resembles-no-queue"),
    pytest.param(["run", "--port", "1"], "; adapter run has --listen\n", id="the-flag-of-another-command"),
    pytest.param(["event", "sqs", "--nme", "x"], "No such option --nme; did you mean --name?\n", id="of-event"),
    pytest.param(
        ["completion"],
        "SHELL: is missing; use one of bash, zsh, fish. To set up a shell, add the line on the left to the file on the "
        "right:",
        id="no-shell",
    ),
    pytest.param(["completion", "ksh"], 'eval "$(adapter completion zsh)"       ~/.zshrc\n', id="other-shell"),
    pytest.param(["run", "--listen"], "Option '--listen' requires an argument", id="no-value"),
    pytest.param(["dev", "--warm=yes", "--", "x"], "does not take a value", id="a-value-too-many"),
    pytest.param(["dev"], "CMD: is missing", id="dev-without-a-command"),
    pytest.param(["dev", "--", "no-such-program"], "CMD: 'no-such-program' is not a program", id="dev-program"),
    pytest.param(["dev", "--runtime", "no-such x"], "--runtime: 'no-such' is not a program", id="dev-runtime"),
    pytest.param(["dev", "--app-dir", "/no/dir", "--", "true"], "--app-dir: '/no/dir' is not a folder", id="dev-dir"),
    pytest.param(["run", "--", "no-such-program"], "CMD: 'no-such-program' is not a program", id="run-program"),
]


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("Adapter.AppNotReady", ["Adapter.AppNotReady"]),
        ("appnotready", ["Adapter.AppNotReady"]),
        ("Sandbox.Timeout:", ["Sandbox.Timeout"]),
        ("Function.AppTimeout", ["Adapter.AppTimeout"]),
        ("Runtime.ExitError", ["Runtime.ExitError", "Adapter.AppExited"]),
        ("TooManyRequestsException", ["TooManyRequestsException"]),
    ],
)
def test_an_error_is_explained_by_its_name(name: str, names: list[str]) -> None:
    done = adapter("error", name)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.findall(r"^\S+", done.stdout, re.MULTILINE) == names
    assert done.stdout.count("\n  means ") == done.stdout.count("\n  do ") == len(names)
    assert "`" not in done.stdout
    assert "](" not in done.stdout


def test_all_errors_are_listed() -> None:
    lines = adapter("error").stdout.splitlines()
    assert {"  Adapter.AppExited", "  Sandbox.Timeout", "  ValidationException"} <= set(lines)


COMPLETIONS = [
    pytest.param("adapter he", {"health", "help"}, id="command"),
    pytest.param("adapter dev --invoke-mode re", {"response_stream"}, id="choice"),
    pytest.param("adapter dev --front-door al", {"alb", "alb-multi-value"}, id="front-door"),
    pytest.param("adapter run --bandwidth ", {"lambda", "unlimited"}, id="preset"),
    pytest.param("adapter dev --fault thr", {"throttle"}, id="fault"),
    pytest.param("adapter event s3", {"s3"}, id="kind-of-event"),
    pytest.param("adapter error Adapter.AppNotR", {"Adapter.AppNotReady"}, id="error"),
    pytest.param("adapter help ru", {"run"}, id="help"),
    pytest.param("adapter completion f", {"fish"}, id="shell"),
    pytest.param("adapter dev --reloa", {"--reload"}, id="flag"),
]


@pytest.mark.parametrize(("line", "completions"), COMPLETIONS)
def test_a_shell_completes_commands_flags_and_values(line: str, completions: set[str]) -> None:
    words = line.split(" ")
    done = adapter(_ADAPTER_COMPLETE="bash_complete", COMP_WORDS=line, COMP_CWORD=str(len(words) - 1))
    assert {row.partition(",")[2] for row in done.stdout.splitlines()} == completions


@pytest.mark.parametrize("value", ["adapter dev --env-file ", "adapter dev -- ./r"])
def test_a_shell_completes_files_itself(value: str) -> None:
    done = adapter(_ADAPTER_COMPLETE="bash_complete", COMP_WORDS=value, COMP_CWORD=str(len(value.split(" ")) - 1))
    assert done.stdout.startswith("file,")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_for_a_shell_asks_the_adapter(shell: str) -> None:
    done = adapter("completion", shell)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"_ADAPTER_COMPLETE={shell}_complete" in done.stdout
    if program := which(shell):
        subprocess.run([program, "-n"], input=done.stdout, text=True, check=True)


@pytest.mark.parametrize(("arguments", "message"), WRONG)
def test_a_wrong_command_line_ends_with_2_and_says_what_is_wrong(arguments: list[str], message: str) -> None:
    done = adapter(*arguments)
    assert done.returncode == 2
    assert message in done.stderr


@pytest.mark.parametrize(
    ("arguments", "unknown"),
    [
        pytest.param(
            ["dev", "--bandwith", "1", "--prot", "2", "--", "true", "--none-of-ours"],
            ["--bandwith; did you mean --bandwidth?", "--prot; did you mean --port?"],
            id="dev",
        ),
        pytest.param(
            ["run", "--lsiten=1", "--app-port", "3", "-x", "--", "true", "--none-of-ours"],
            ["--lsiten; did you mean --listen?", "-x"],
            id="run",
        ),
        pytest.param(
            ["run", "--fault", "kill", "--record=x", "--", "true"],
            ["--fault; it is an option of adapter dev", "--record; it is an option of adapter dev"],
            id="of-another-command",
        ),
    ],
)
def test_all_unknown_flags_are_reported_at_once(arguments: list[str], unknown: list[str]) -> None:
    done = adapter(*arguments)
    assert done.returncode == 2
    assert re.findall(r"No such option (.*)", done.stderr) == unknown


def test_dev_reports_mistakes_of_all_kinds_at_once() -> None:
    done = adapter("dev", "--timeout", "x", "--fault", "init@x,boom", "--price-table", "/none", "--", "no-such-program")
    assert done.returncode == 2
    assert [line.split(": ")[1:3] for line in done.stderr.splitlines()] == [
        ["--timeout", "'x' is not a duration; use seconds, for example 2 or 0.5"],
        [
            "CMD",
            "'no-such-program' is not a program that can be run (it is not on PATH); "
            "give the program's path, or its name if it is on PATH",
        ],
        ["--fault", "'init@x' has a header, but an init has no request; use init, init:RATE or kill@HEADER"],
        ["--fault", "'boom' is not a fault; use one of delay, throttle, kill, truncate, fill, drop, init"],
        ["--price-table", "'/none' cannot be read"],
    ]


def test_an_env_files_mistakes_are_reported_with_the_others(tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_text("not a variable\n")
    done = adapter("dev", "--env-file", str(file), "--memory", "1", "--", "true")
    assert done.returncode == 2
    assert "--memory: '1' is not possible: Lambda gives a function 128 to 10240 MB; use a whole number" in done.stderr
    assert "line 1: is not KEY=VALUE" in done.stderr
    assert "not a variable" not in done.stderr


@pytest.mark.parametrize("command", GROUPS)
def test_the_help_says_what_cmd_is(command: str) -> None:
    assert "-- CMD The command that starts the app" in in_one_line(adapter(command, "--help").stdout)


@pytest.mark.parametrize("command", ["run", "dev"])
def test_all_mistakes_in_the_settings_end_with_2_a_line_for_each(command: str) -> None:
    done = adapter(
        command, "--readiness-port", "http", "--", "true", AWS_LWA_INVOKE_MODE="streaming", ADAPTER_BANDWITH="1"
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "adapter: --readiness-port: 'http' is not a port; use a number from 1 to 65535",
        "adapter: AWS_LWA_INVOKE_MODE: 'streaming' is not one of buffered, response_stream",
        "adapter: ADAPTER_BANDWITH: no option has this name; did you mean ADAPTER_BANDWIDTH?",
    ]


def test_with_flags_a_mistake_on_lambda_is_reported_to_lambda_as_well() -> None:
    with ScriptedRuntimeApi() as api:
        done = adapter("run", "--log-level", "loud", "--", "true", AWS_LAMBDA_RUNTIME_API=api.address)
        assert done.returncode == 2
        assert "--log-level: 'loud'" in api.wait_for("/init/error").wait().json()["errorMessage"]


def test_equal_ports_are_a_mistake() -> None:
    done = adapter("run", "--listen", "127.0.0.1:8080", "--", "true")
    assert done.returncode == 2
    assert "--listen: 127.0.0.1:8080 has the same port as the app" in done.stderr


@pytest.mark.parametrize("flag", ["--listen", "--admin"])
def test_an_address_that_is_taken_is_reported_with_its_owner_and_without_the_systems_repetition(flag: str) -> None:
    with ScriptedApp() as other:
        address = f"127.0.0.1:{other.port}"
        free = {"ADAPTER_LISTEN": "127.0.0.1:0"} if flag == "--admin" else {}
        done = adapter("run", flag, address, "--", "sleep", "60", **free)
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert re.fullmatch(
        rf"adapter: {flag}: {address} is taken( by pid \d+ \(.*\))?; "
        rf"give another address, for example {flag} 127.0.0.1:\d+",
        line,
    )


@pytest.mark.parametrize("way_in", ["run", "dev"])
def test_another_server_is_not_taken_for_the_app(way_in: str) -> None:
    listen = ["--listen", "127.0.0.1:0"] if way_in == "run" else ["--port", "0"]
    with ScriptedApp() as other:
        done = adapter(way_in, *listen, "--app-port", str(other.port), "--", "sleep", "60")
    assert done.returncode == 2
    assert f"adapter: 127.0.0.1:{other.port} is taken by pid " in done.stderr
    assert "write {port} in CMD to give the app a free port" in done.stderr


def test_every_address_that_is_taken_is_reported_with_a_free_one() -> None:
    with ScriptedApp() as one, ScriptedApp() as other:
        first, second = sorted((one.port, other.port))
        addresses = ["--listen", f"127.0.0.1:{first}", "--admin", f"127.0.0.1:{second}"]
        done = adapter("run", *addresses, "--app-port", str(first + 1 if first + 1 != second else first + 2))
    assert done.returncode == 2
    suggested = re.findall(r"for example (--\w+) 127\.0\.0\.1:(\d+)", done.stderr)
    assert [flag for flag, _ in suggested] == ["--listen", "--admin"]
    assert len({port for _, port in suggested} - {str(port) for port in (first, second, first + 1)}) == 2


def test_a_slip_of_the_placeholder_is_warned_of_at_the_start() -> None:
    done = adapter("run", "--listen", "127.0.0.1:0", "--", "true", "{prot}")
    assert "adapter WARN CMD: {prot} is not replaced; did you mean {port}" in done.stderr


def test_an_address_of_another_machine_is_reported_in_the_systems_words() -> None:
    done = adapter("run", "--listen", "192.0.2.1:8000", "--", "sleep", "60")
    assert done.returncode == 2
    assert done.stderr == (
        "adapter: --listen: 192.0.2.1:8000 cannot be listened on: Cannot assign requested address; "
        "give another address, for example --listen 127.0.0.1:8000\n"
    )


def test_the_runtime_is_asked_for_only_where_lambda_is() -> None:
    done = adapter("run", "--as", "runtime", "--", "true")
    assert done.returncode == 2
    assert "--as: 'runtime' needs AWS_LAMBDA_RUNTIME_API" in done.stderr


ON_LAMBDA = [
    pytest.param(["run", "--", "sh", "-c", "exit 41"], id="with-dashes"),
    pytest.param(["run", "sh", "-c", "exit 41"], id="without-dashes"),
    pytest.param(["run", "--log-level", "error", "--", "sh", "-c", "exit 41"], id="with-flags"),
    pytest.param(["run", "--no-access-log", "sh", "-c", "exit 41"], id="with-a-switch"),
]


@pytest.mark.parametrize("arguments", ON_LAMBDA)
def test_on_lambda_the_command_is_run_and_its_exit_code_is_ours(arguments: list[str]) -> None:
    with ScriptedRuntimeApi() as api:
        done = adapter(*arguments, AWS_LAMBDA_RUNTIME_API=api.address)
        assert done.returncode == 41
        assert api.wait_for("/init/error").wait().json()["errorType"] == "Adapter.AppExited"


def test_the_installed_command_is_the_entry_module() -> None:
    [script] = entry_points(group="console_scripts", name="adapter")
    assert script.value == "web_adapter_command:main"


def test_ctrl_c_ends_a_command_without_a_traceback() -> None:
    # Where the tests run in the background SIGINT is ignored, which processes inherit.
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from adapter.__main__ import main; sys.exit(main())"
    )
    with ScriptedApp(default=Received.wait_for_hang_up, records_probes=True) as app:
        process = subprocess.Popen(
            [sys.executable, "-I", "-c", code, "check"],
            env={"PATH": os.environ["PATH"], "AWS_LWA_PORT": str(app.port), "ADAPTER_LISTEN": "127.0.0.1:0"},
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )
        app.wait_for_request()
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=PATIENCE)
    assert (process.returncode, stderr.strip()) == (130, b"")


@pytest.mark.parametrize("variable", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_a_sample_event_is_in_the_region_of_the_environment(variable: str) -> None:
    done = adapter("event", "alb", **{variable: "eu-central-1", "ADAPTER_STREAM_LIMIT": "nonsense"})
    assert (done.returncode, done.stderr) == (0, "")
    assert "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/" in done.stdout
