"""``adapter dev`` as its users run it: a real process, the real runtime in it, a real app in that, a real client."""

from __future__ import annotations

import http.client
import json
import os
import select
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from adapter.app.process import ACTIONS, HANDLED
from tests.apps import app_command, app_dir
from tests.supervision.supervised import not_ignored, status_of
from tests.supervision.terminal import CTRL_C, CTRL_Z, Terminal, wait_until_stopped

MIB = 1024 * 1024


class Dev:
    """A running ``adapter dev`` whose function URL is on ``port``."""

    def __init__(self, process: subprocess.Popen[str], port: int, invoke_port: int) -> None:
        self.process = process
        self.port = port
        self.invoke_port = invoke_port

    def line(self, *words: str) -> str:
        """Return the next line of its output with all of ``words`` in it."""
        assert self.process.stderr is not None
        seen = []
        for line in self.process.stderr:
            seen.append(line)
            if all(word in line for word in words):
                return line
        raise AssertionError(f"no line with {words} in:\n{''.join(seen)}")

    def get(self, path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        connection.request("GET", path)
        response = connection.getresponse()
        try:
            return response.status, response.read()
        finally:
            connection.close()

    def end(self, number: signal.Signals) -> tuple[int, str]:
        """Send a signal. Return the exit code, and the output after the lines that have been read."""
        assert self.process.stderr is not None
        self.process.send_signal(number)
        rest = self.process.stderr.read()
        return self.process.wait(), rest


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def dev(*options: str, command: list[str] | None = None, port: int | None = None) -> Iterator[Dev]:
    """``adapter dev`` with the FastAPI example, or with ``command``."""
    port, invoke_port = port or free_port(), free_port()
    app = [*app_command("fastapi"), "--log-level", "warning"]
    arguments = [
        "--port",
        str(port),
        "--invoke-port",
        str(invoke_port),
        "--app-dir",
        str(app_dir("fastapi")),
        *options,
        "--",
        *(command or app),
    ]
    with subprocess.Popen(
        [sys.executable, "-I", "-m", "adapter", "dev", *arguments], stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Dev(process, port, invoke_port)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)


@contextmanager
def serving(*options: str, command: list[str] | None = None) -> Iterator[Dev]:
    """Yield ``adapter dev`` once it accepts connections."""
    with dev(*options, command=command) as running:
        running.line("curl -N")
        yield running


def descendants(pid: int) -> list[int]:
    """Return the processes below ``pid``."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(int(entry.name))
    found = children.get(pid, [])
    return [*found, *(each for child in found for each in descendants(child))]


def wait_until_gone(pids: list[int]) -> None:
    """Wait for the end of processes that are not our children."""
    for pid in pids:
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        select.select([handle], [], [], 10)
        os.close(handle)
        assert not Path(f"/proc/{pid}/exe").exists(), f"{pid} still runs"


def test_it_says_what_it_serves_and_then_one_line_per_invocation() -> None:
    with dev() as running:
        assert f"http://127.0.0.1:{running.port}/" in running.line("function URL")
        assert "AWS_LWA_INVOKE_MODE=response_stream" in running.line("deploy as")
        running.line("curl -N")
        assert running.get("/status/404")[0] == 404
        first = running.line("GET /status/404")
        assert "| cold start, init " in first
        assert running.get("/status/201")[0] == 201
        assert "cold start" not in running.line("GET /status/201 201")


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGQUIT, 131), (signal.SIGHUP, 129)],
    ids=["interrupted", "terminated", "quit", "terminal closed"],
)
def test_a_signal_ends_everything_it_started_without_a_word(number: signal.Signals, code: int) -> None:
    with not_ignored(signal.SIGHUP), not_ignored(signal.SIGQUIT), serving("--warm") as running:
        running.line("warm")
        started = descendants(running.process.pid)
        assert len(started) >= 2, "the runtime and the app"
        assert running.end(number) == (code, "")
        assert [pid for pid in started if Path(f"/proc/{pid}").exists()] == []
        with pytest.raises(ConnectionRefusedError):
            running.get("/")


def test_signals_that_mean_something_to_an_app_only_have_no_effect() -> None:
    ending = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP)
    with serving() as running:
        for number in HANDLED + tuple(n for n in ACTIONS if ACTIONS[n] == "ignore"):
            if number not in (*ending, signal.SIGTSTP):
                running.process.send_signal(number)
        assert running.get("/status/201")[0] == 201


def test_under_nohup_dev_survives_the_end_of_the_terminal() -> None:
    with not_ignored(signal.SIGHUP):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        with serving() as running:
            running.process.send_signal(signal.SIGHUP)
            assert running.get("/status/201")[0] == 201


def test_ctrl_z_stops_dev_with_its_environments_and_fg_continues_them() -> None:
    port = free_port()
    app = shlex.join([*app_command("fastapi"), "--log-level", "warning"])
    with Terminal() as terminal:
        options = f"--port {port} --invoke-port 0 --warm --app-dir {app_dir('fastapi')}"
        terminal.type(f"{sys.executable} -I -m adapter dev {options} -- {app}\n")
        terminal.wait_for("warm")
        terminal.type(CTRL_Z)
        terminal.wait_for("Stopped")
        terminal.type("jobs -p\n")
        job = int(terminal.wait_for(r"(\d+)\r\n")[1])
        tree = [job, *descendants(job)]
        assert len(tree) >= 3, "dev, the runtime and the app"
        wait_until_stopped(tree)
        terminal.type("fg\n")
        terminal.wait_for("adapter dev")
        assert status_of(port, "/status/201") == 201
        terminal.type(CTRL_C)
        terminal.type("echo code=$?\n")
        terminal.wait_for("code=130")


def test_a_signal_within_a_stream_cuts_it_and_says_so() -> None:
    with serving() as running:
        connection = http.client.HTTPConnection("127.0.0.1", running.port)
        connection.request("GET", "/stream?chunks=1000&interval=0.01")
        response = connection.getresponse()
        assert response.read(1)
        started = descendants(running.process.pid)
        code, rest = running.end(signal.SIGINT)
        with pytest.raises(http.client.IncompleteRead):
            response.read()
        connection.close()
        assert code == 130
        assert "Emulator.Stopped" in rest
        assert "Traceback" not in rest
        assert [pid for pid in started if Path(f"/proc/{pid}").exists()] == []


def test_with_a_json_log_every_line_is_one_object_that_tells_what_happened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_LWA_INVOKEMODE", "buffered")
    with dev("--log-format", "json") as running:
        lines = [json.loads(running.line("")) for _ in range(2)]
        assert running.get("/status/201")[0] == 201
        lines.append(json.loads(running.line('"invocation"')))
        code, rest = running.end(signal.SIGINT)
        lines += map(json.loads, rest.splitlines())
    assert code == 130
    start, warning, record = lines[:3]
    assert start["doors"][0]["url"] == f"http://127.0.0.1:{running.port}/"
    assert warning["message"] == (
        "AWS_LWA_INVOKEMODE is not known and has no effect; did you mean AWS_LWA_INVOKE_MODE?"
    )
    assert (record["door"], record["method"], record["path"], record["status"]) == (
        "function-url",
        "GET",
        "/status/201",
        201,
    )
    assert len(record["requestId"]) == 36
    assert {"bytes", "ms", "firstByteMs", "initMs"} <= set(record)


def test_a_variable_that_is_none_of_ours_is_warned_of_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_LWA_INVOKEMODE", "buffered")
    with dev() as running:
        assert running.line("AWS_LWA_INVOKEMODE") == (
            "adapter dev: AWS_LWA_INVOKEMODE is not known and has no effect; did you mean AWS_LWA_INVOKE_MODE?\n"
        )


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        pytest.param(["--app-dir", "/no/such/folder"], "--app-dir: '/no/such/folder' is not a folder", id="folder"),
        pytest.param([], "CMD: 'no-such-program' is not a program that can be run", id="program"),
    ],
)
def test_what_cannot_be_started_is_told_before_anything_listens(arguments: list[str], cause: str) -> None:
    with dev(*arguments, command=["no-such-program"]) as running:
        assert running.line("adapter: ").startswith(f"adapter: {cause}")
        assert running.process.wait() == 2


def test_nothing_outlives_a_kill_that_it_cannot_see() -> None:
    with serving("--warm") as running:
        running.line("warm")
        started = descendants(running.process.pid)
        running.process.kill()
        wait_until_gone(started)


def test_a_stream_has_lambdas_bandwidth() -> None:
    with serving("--warm") as running:
        running.line("warm")
        begun = time.monotonic()
        status, body = running.get("/download?bytes=10485760")
        took = time.monotonic() - begun
        assert (status, len(body)) == (200, 10 * MIB)
        # 6 MiB at once, then 256 KiB every 125 ms. On a busy machine it may take longer.
        assert took > 1.8
        line = running.line("GET /download")
        assert "held back by the bandwidth cap" in line
        assert "4 MB beyond the free 6 MB: 0.000031 USD" in line


def test_a_buffered_download_over_the_limit_is_refused_in_lambdas_words() -> None:
    with serving("--invoke-mode", "buffered") as running:
        assert running.get("/download?bytes=10485760") == (502, b"Internal Server Error")
        assert "Response payload size exceeded maximum allowed payload size" in running.line(
            "502", "Function.ResponseSizeTooLarge"
        )
        assert running.get("/status/204")[0] == 204


@pytest.mark.parametrize("way", ["exception", "exit"])
def test_an_app_that_crashes_in_its_response_cuts_it_and_the_next_request_works(way: str) -> None:
    with serving() as running:
        with pytest.raises(http.client.IncompleteRead) as cut:
            running.get(f"/crash-midstream?bytes=1000&how={way}")
        assert len(cut.value.partial) == 1000
        if way == "exit":
            # The request after this is the one that must work; one that met the exit would rightly fail.
            running.line("the environment ended")
        else:
            running.line("GET /crash-midstream", "200 broken off | 1000 B", "Function.TruncatedResponse")
        assert running.get("/status/200")[0] == 200


def test_an_app_that_cannot_start_is_shown_with_its_exit_code() -> None:
    broken = [sys.executable, "-c", "import sys; sys.stderr.write('no such table\\n'); sys.exit(7)"]
    with serving(command=broken) as running:
        for _ in range(2):
            assert running.get("/")[0] == 502
            running.line("the app ended with exit code 7 before it was ready: no such table")
            running.line("GET / 502", "Runtime.ExitError")


def test_a_taken_port_is_named_with_its_owner_and_a_way_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with dev(port=port) as running:
            assert running.process.stderr is not None
            written = running.process.stderr.read()
            assert running.process.wait() == 2
            assert f"--port: '{port}' is taken by pid {os.getpid()} (" in written
            suggested = int(written.rpartition("--port ")[2])
            assert suggested > port


@pytest.mark.parametrize(
    ("options", "words"),
    [
        pytest.param(["--host", "192.0.2.1"], ["--host: '192.0.2.1'", "--host 127.0.0.1"], id="foreign-address"),
        pytest.param(["--host", "no.such.host.invalid"], ["--host: 'no.such", "--host 127.0.0.1"], id="unknown-host"),
        pytest.param(["--price-table", "/discard"], ["--price-table: '/discard' cannot be read"], id="price-table"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(options: list[str], words: list[str]) -> None:
    with dev(*options) as running:
        assert running.process.stderr is not None
        (line,) = running.process.stderr.read().splitlines()
        assert running.process.wait() == 2
        assert [word for word in words if word not in line] == []


def test_a_refused_invocation_has_a_line_beside_cloudwatchs_block_as_well() -> None:
    flags = ["--invocation-log", "cloudwatch", "--fault", "throttle@x-fault", "--app-port", str(free_port())]
    with serving(*flags) as running:
        connection = http.client.HTTPConnection("127.0.0.1", running.port)
        connection.request("GET", "/", headers={"X-Fault": "1"})
        assert connection.getresponse().status == 429
        connection.close()
        assert "TooManyRequestsException" in running.line("GET / 429")


@pytest.mark.parametrize(
    "flags",
    [
        pytest.param(["--no-access-log"], id="text"),
        pytest.param(["--no-access-log", "--log-format", "json"], id="json"),
        pytest.param(["--log-level", "fatal", "--log-format", "json"], id="level"),
    ],
)
def test_lines_of_invocations_can_be_turned_off(flags: list[str]) -> None:
    """The runtime does not log them either."""
    with dev(*flags) as running:
        wait = ["dev", "--wait", "--port", str(running.port), "--invoke-port", str(running.invoke_port)]
        subprocess.run([sys.executable, "-I", "-m", "adapter", *wait], check=True)
        assert running.get("/status/200")[0] == 200
        _, rest = running.end(signal.SIGINT)
    assert "/status/200" not in rest


def test_a_slip_in_an_env_file_is_told_with_the_file_and_one_elsewhere_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "env"
    file.write_text("ADAPTER_BANDWITH=1\nADAPTER_TIMEOUT=x\n")
    monkeypatch.setenv("ADAPTER_MEMROY", "512")
    with dev("--env-file", str(file)) as running:
        assert running.process.stderr is not None
        assert running.process.stderr.read().splitlines() == [
            f"adapter: {file}: ADAPTER_TIMEOUT: 'x' is not a duration; use seconds, for example 2 or 0.5",
            f"adapter: {file}: ADAPTER_BANDWITH: no option has this name; did you mean ADAPTER_BANDWIDTH?",
            "adapter: ADAPTER_MEMROY: no option has this name; did you mean ADAPTER_MEMORY?",
        ]
        assert running.process.wait() == 2


def test_a_slip_in_an_env_file_that_is_no_mistake_is_warned_of_with_the_file(tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_text("AWS_LWA_INVOKEMODE=buffered\n")
    with dev("--env-file", str(file)) as running:
        assert running.line("AWS_LWA_INVOKEMODE").startswith(f"adapter dev: {file}: AWS_LWA_INVOKEMODE is not known")


# Answers with the value of GREETING and the timeout's own variable.
GREETER = """
import os
from http.server import BaseHTTPRequestHandler, HTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(" ".join(os.environ.get(name, "unset") for name in ("GREETING", "OTHER", "THIRD")).encode())
HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


def test_a_flag_beats_a_variable_beats_the_template(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "template.yaml"
    file.write_text(
        "Resources: {Web: {Type: AWS::Serverless::Function, Properties: {Timeout: 7, MemorySize: 512, "
        "Environment: {Variables: {GREETING: hello, OTHER: template, THIRD: !Ref Table}}, "
        "FunctionUrlConfig: {InvokeMode: BUFFERED}}}, Table: {Type: AWS::DynamoDB::Table}}"
    )
    monkeypatch.setenv("OTHER", "shell")
    monkeypatch.setenv("ADAPTER_TIMEOUT", "8")
    command = [sys.executable, "-c", GREETER, "{port}"]
    with dev("--template", str(file), "--invocation-log", "cloudwatch", "--memory", "256", command=command) as running:
        assert running.line("timeout").split() == ["timeout", "8", "s"]
        assert running.line("differs").strip() == (
            "differs    from the template: timeout 8 s (7 s), memory 256 MB (512 MB)"
        )
        assert "Variables.THIRD: Table is a resource" in running.line("left unset")
        assert running.get("/") == (200, b"hello shell unset")
        assert "Memory Size: 256 MB" in running.line("REPORT")


def test_a_template_without_a_command_needs_one(tmp_path: Path) -> None:
    file = tmp_path / "template.yaml"
    file.write_text("Resources: {Web: {Type: AWS::Lambda::Function, Properties: {PackageType: Image}}}")
    arguments = ["dev", "--template", str(file)]
    result = subprocess.run([sys.executable, "-I", "-m", "adapter", *arguments], capture_output=True, text=True)
    assert result.returncode == 2
    assert result.stderr == (
        f"adapter: CMD: is missing; {str(file)!r} does not contain a command either; name the command that starts the "
        "app: adapter dev -- CMD\n"
    )


def test_a_template_that_cannot_be_read_may_have_a_command(tmp_path: Path) -> None:
    file = tmp_path / "template.yaml"
    arguments = ["dev", "--template", str(file)]
    result = subprocess.run([sys.executable, "-I", "-m", "adapter", *arguments], capture_output=True, text=True)
    assert result.returncode == 2
    assert result.stderr == f"adapter: --template: {str(file)!r} cannot be read: No such file or directory\n"


def test_a_slip_of_the_placeholder_is_warned_of_by_dev() -> None:
    with dev(command=[sys.executable, "-c", "", "{prot}"]) as running:
        assert running.line("did you mean {port}") == (
            "adapter dev: CMD: {prot} is not replaced; did you mean {port}, which stands for a free port?\n"
        )


def test_a_folder_and_a_program_that_are_not_there_are_told_together() -> None:
    with dev("--app-dir", "/no/such/folder", command=["no-such-program"]) as running:
        running.line("--app-dir: '/no/such/folder' is not a folder")
        running.line("CMD: 'no-such-program' is not a program")


def test_no_process_of_it_loads_openssl() -> None:
    with serving("--warm") as running:
        running.line("warm")
        status, _ = running.get("/")
        assert status == 200
        runtimes = descendants(running.process.pid)[:1]
        for pid in (running.process.pid, *runtimes):
            assert "libcrypto" not in Path(f"/proc/{pid}/maps").read_text()
