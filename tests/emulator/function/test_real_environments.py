"""``adapter dev`` with real processes: many environments, extensions, freezing, reloading, variables, and a crowd."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.apps import app_command, app_dir
from tests.e2e.local_lambda import LocalLambda, local_lambda
from tests.e2e.output import PATIENCE
from tests.scripted_app import ScriptedApp, response
from tests.unused_port import unused_port

APP = """
import http.server, os, sys, time
class App(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/beats":
            body = str(self.server.beats).encode()
        else:
            body = os.environ.get("ANSWER", "none").encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *arguments):
        pass
class Server(http.server.ThreadingHTTPServer):
    beats = 0
    def service_actions(self):
        self.beats += 1
sys.stderr.write("the app has started\\n")
Server(("127.0.0.1", int(sys.argv[1])), App).serve_forever(poll_interval=0.01)
"""

PYTHON_EXTENSION = """#!{python}
import http.client, http.server, json, os, sys, threading
api = os.environ["AWS_LAMBDA_RUNTIME_API"]

class Sink(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        for record in json.loads(self.rfile.read(int(self.headers["Content-Length"]))):
            note({{"record": record["type"], "content": record["record"]}})
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *arguments):
        pass

def note(what):
    with open({notes!r}, "a") as notes:
        notes.write(json.dumps(what) + "\\n")

def call(method, path, body=None, **headers):
    connection = http.client.HTTPConnection(api)
    connection.request(method, path, json.dumps(body) if body is not None else None, headers)
    response = connection.getresponse()
    return response, response.read()

sink = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sink)
threading.Thread(target=sink.serve_forever, daemon=True).start()
name = os.path.basename(sys.argv[0])
response, _ = call("POST", "/2020-01-01/extension/register", {{"events": ["INVOKE", "SHUTDOWN"]}},
                   **{{"Lambda-Extension-Name": name}})
identity = {{"Lambda-Extension-Identifier": response.headers["Lambda-Extension-Identifier"]}}
response, answer = call("PUT", "/2022-07-01/telemetry", {{
    "schemaVersion": "2022-07-01", "types": ["platform", "function", "extension"], "buffering": {{"timeoutMs": 25}},
    "destination": {{"protocol": "HTTP", "URI": f"http://sandbox.localdomain:{{sink.server_port}}"}},
}}, **identity)
note({{"subscribed": response.status, "answer": answer.decode()}})
print("a line of the extension", flush=True)
while True:
    _, event = call("GET", "/2020-01-01/extension/event/next", **identity)
    note({{"event": json.loads(event)}})
    if json.loads(event)["eventType"] == "SHUTDOWN":
        break
"""

SHELL_EXTENSION = """#!/bin/sh
set -eu
api="http://$AWS_LAMBDA_RUNTIME_API/2020-01-01/extension"
id=$(curl -sS -o /dev/null -D - -H "Lambda-Extension-Name: $(basename "$0")" -d '{{"events":["INVOKE","SHUTDOWN"]}}' \\
  "$api/register" | tr -d '\\r' | sed -n 's/^[Ll]ambda-[Ee]xtension-[Ii]dentifier: //p')
while :; do
  event=$(curl -sS -H "Lambda-Extension-Identifier: $id" "$api/event/next")
  echo "$event" >> {notes}
  case $event in *SHUTDOWN*) exit 0 ;; esac
done
"""


@pytest.fixture
def app(tmp_path: Path) -> Path:
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "app.py").write_text(APP)
    return folder


COMMAND = (sys.executable, "-u", "app.py", "{port}")


def status(local: LocalLambda) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", local.invoke_port, timeout=PATIENCE)
    connection.request("GET", "/_adapter/status")
    try:
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


def process_state(pid: int) -> str:
    """Return the letter of a process's state as ps shows it."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def executable(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def test_extensions_in_python_and_shell_see_a_whole_life_and_its_telemetry(app: Path, tmp_path: Path) -> None:
    notes, shell_notes = tmp_path / "notes", tmp_path / "shell-notes"
    executable(tmp_path / "ext/watcher", PYTHON_EXTENSION.format(python=sys.executable, notes=str(notes)))
    executable(tmp_path / "ext/teller", SHELL_EXTENSION.format(notes=shell_notes))
    (tmp_path / "ext/README").write_text("not executable, so not an extension")
    flags = ("--extensions", str(tmp_path / "ext"), "--environments", "1")
    with local_lambda(*COMMAND, directory=app, flags=flags) as local:
        assert local.ask("/").status == 200
        assert local.ask("/").status == 200
        # An invocation is over when the extensions are done with it as well.
        while status(local)["environments"][0]["invocations"] < 2:
            pass
        assert local.press_ctrl_c() == 130
    noted = [json.loads(line) for line in notes.read_text().splitlines()]
    assert noted[0] == {"subscribed": 200, "answer": '"OK"'}
    events = [note["event"] for note in noted if "event" in note]
    assert [event["eventType"] for event in events] == ["INVOKE", "INVOKE", "SHUTDOWN"]
    assert events[-1]["shutdownReason"] == "spindown"
    assert events[0]["invokedFunctionArn"].endswith(":function:local")
    told = [json.loads(line)["eventType"] for line in shell_notes.read_text().splitlines()]
    assert told == ["INVOKE", "INVOKE", "SHUTDOWN"]
    records = [note for note in noted if "record" in note]
    kinds = [record["record"] for record in records]
    assert kinds.count("platform.runtimeDone") == kinds.count("platform.report") == 2
    assert kinds.index("platform.runtimeDone") < kinds.index("platform.report")
    assert kinds.index("platform.initStart") < kinds.index("platform.initReport") < kinds.index("platform.start")
    assert {"record": "function", "content": "the app has started"} in records
    assert {"record": "extension", "content": "a line of the extension"} in records
    report = next(record["content"] for record in records if record["record"] == "platform.report")
    assert report["metrics"]["maxMemoryUsedMB"] > 20
    assert report["metrics"]["billedDurationMs"] >= report["metrics"]["initDurationMs"]


@pytest.mark.parametrize(
    ("script", "error"),
    [
        pytest.param("#!/bin/sh\nexit 7\n", "Extension.Crash: extension broken ended: exit status 7", id="crashes"),
        pytest.param("#!/no/such/interpreter\n", "Extension.LaunchError", id="cannot-be-started"),
    ],
)
def test_an_extension_that_breaks_fails_init(app: Path, tmp_path: Path, script: str, error: str) -> None:
    executable(tmp_path / "ext/broken", script)
    with local_lambda(*COMMAND, directory=app, flags=("--extensions", str(tmp_path / "ext"))) as local:
        assert local.ask("/").status == 502
        assert error in local.output.wait_for("GET / 502")


def test_a_frozen_environment_is_stopped_to_the_last_process_and_serves_all_the_same(app: Path) -> None:
    with local_lambda(*COMMAND, directory=app, flags=("--freeze",)) as local:
        for _ in range(3):
            assert int(local.ask("/beats").body) > 0
            while not status(local)["environments"][0]["frozen"]:
                pass
            runtime, server = local.pids() - {local.process.pid}
            # The signal takes its time to a process that runs.
            while (process_state(runtime), process_state(server)) != ("T", "T"):
                pass
        assert local.press_ctrl_c() == 130
        assert local.pids() == set()


def test_the_app_knows_its_memory_and_the_user_is_warned_of_it(app: Path) -> None:
    (app / "app.py").write_text(
        "ballast = bytearray(200_000_000)\n" + APP.replace('"ANSWER"', '"AWS_LAMBDA_FUNCTION_MEMORY_SIZE"')
    )
    with local_lambda(*COMMAND, directory=app, flags=("--memory", "128", "--invocation-log", "cloudwatch")) as local:
        assert local.ask("/").body == b"128"
        report = local.output.wait_for("REPORT RequestId: ")
        assert "\tMemory Size: 128 MB\t" in report
        assert int(report.partition("Max Memory Used: ")[2].split()[0]) > 190
        assert "\tInit Duration: " in report
        assert "more than --memory allows (128 MB)" in local.output.wait_for("has used")
        block = [line.split()[0] for line in local.output.text.splitlines() if "RequestId" in line or "INIT" in line]
        assert block == ["INIT_START", "START", "END", "REPORT"]


def test_variables_from_a_file_count_before_those_of_the_shell(app: Path, tmp_path: Path) -> None:
    (tmp_path / "env").write_text('ANSWER="from the file"\nAWS_LWA_INVOKE_MODE=buffered\n')
    flags = ("--env-file", str(tmp_path / "env"))
    with local_lambda(*COMMAND, directory=app, flags=flags, ANSWER="from the shell") as local:
        assert "mode       buffered" in local.output.text
        assert local.ask("/").body == b"from the file"


def test_a_changed_file_makes_the_next_request_a_cold_start(app: Path) -> None:
    with local_lambda(*COMMAND, directory=app, flags=("--reload",)) as local:
        local.output.wait_for("watching ")
        assert local.ask("/").body == b"none"
        (app / "app.py").write_text(APP.replace('"none"', '"changed"'))
        local.output.wait_for("app.py has changed")
        assert local.ask("/").body == b"changed"


def test_recordings_in_the_watched_folder_are_no_change_of_the_app(app: Path) -> None:
    with local_lambda(*COMMAND, directory=app, flags=("--reload", "--record", "recordings")) as local:
        local.output.wait_for("watching ")
        assert local.ask("/").status == 200
        local.output.wait_for("GET / 200")
        assert len(list((app / "recordings").iterdir())) == 1
        # This name sorts after that of the recording, and only the first name of several changes is reported.
        (app / "unrelated.py").write_text("")
        assert "unrelated.py has changed" in local.output.wait_for("has changed")


def test_scripts_can_wait_until_it_answers(app: Path) -> None:
    wait = [sys.executable, "-I", "-m", "adapter", "dev", "--wait"]
    with local_lambda(*COMMAND, directory=app) as local:
        port = str(local.invoke_port)
        there = [*wait, "--invoke-port", port]
        done = subprocess.run(there, check=False, capture_output=True, text=True, timeout=PATIENCE)
        assert (done.returncode, done.stderr) == (0, "")
    gone = [*wait, "--invoke-port", port, "--readiness-timeout", "1.2"]
    done = subprocess.run(gone, check=False, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "adapter dev --wait: waiting up to 1.2 s (--readiness-timeout) for the Invoke APIs on "
        f"127.0.0.1:{port}: nothing listens there",
        f"adapter dev --wait: no adapter dev is ready on 127.0.0.1:{port} after 1.2 s: nothing listens there; "
        "start adapter dev, or set --invoke-port to the port of its Invoke APIs",
    ]


def test_scripts_wait_for_an_app_that_is_started_ahead(app: Path) -> None:
    (app / "late.py").write_text("import os, sys; open('gate').read(); os.execv(sys.argv[1], sys.argv[1:])")
    os.mkfifo(app / "gate")
    wait = [sys.executable, "-I", "-m", "adapter", "dev", "--wait", "--invoke-port"]
    with local_lambda("python", "late.py", *COMMAND, directory=app, flags=("--warm",)) as local:
        with subprocess.Popen([*wait, str(local.invoke_port)], stderr=subprocess.PIPE, text=True) as waiting:
            assert waiting.stderr is not None
            assert "an app is still starting" in waiting.stderr.readline()
            assert waiting.poll() is None
            (app / "gate").write_text("")
            assert waiting.wait(PATIENCE) == 0
        local.output.wait_for("the environment is warm")


@pytest.mark.parametrize("body", [b"[]", b"{}", b"hello"])
def test_a_server_that_is_not_adapter_dev_ends_no_wait(body: bytes) -> None:
    wait = [sys.executable, "-I", "-m", "adapter", "dev", "--wait", "--readiness-timeout", "0.2", "--invoke-port"]
    with ScriptedApp(default=response(body)) as app:
        done = subprocess.run([*wait, str(app.port)], check=False, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 1
    assert "the answer is not adapter dev's status report, so another program listens there" in done.stderr


def test_a_short_wait_is_not_reported() -> None:
    wait = [sys.executable, "-I", "-m", "adapter", "dev", "--wait", "--readiness-timeout", "0.2"]
    port = str(unused_port())
    done = subprocess.run([*wait, "--invoke-port", port], check=False, capture_output=True, text=True, timeout=PATIENCE)
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"adapter dev --wait: no adapter dev is ready on 127.0.0.1:{port} after 0.2 s")


def test_in_a_thousand_invocations_of_twenty_clients_none_is_lost_and_none_is_mixed_up() -> None:
    """Each asks for the echo of bytes that only it has sent."""
    clients, requests = 20, 50
    started = threading.Barrier(clients)

    def client(number: int) -> list[bool]:
        connection = http.client.HTTPConnection("127.0.0.1", local.port, timeout=PATIENCE)
        started.wait()
        right = []
        for request in range(requests):
            body = f"{number}/{request}/".encode() * 50
            connection.request("POST", "/upload", body)
            response = connection.getresponse()
            told = json.loads(response.read())
            right.append(told == {"length": len(body), "sha256": hashlib.sha256(body).hexdigest()})
        connection.close()
        return right

    flags = ("--environments", "4")
    with local_lambda(*app_command("fastapi"), directory=app_dir("fastapi"), flags=flags) as local:
        with ThreadPoolExecutor(clients) as pool:
            results = list(pool.map(client, range(clients)))
        found = status(local)
    assert [all(result) and len(result) == requests for result in results] == [True] * clients
    assert found["counts"]["invocations"] == clients * requests
    assert found["counts"]["errors"] == 0
    assert sum(environment["invocations"] + environment["running"] for environment in found["environments"]) == 1000
    assert len(found["environments"]) == 4


def test_a_page_with_an_event_stream_and_its_assets_just_works() -> None:
    with local_lambda(*app_command("fastapi"), directory=app_dir("fastapi")) as local, local.connect() as stream:
        stream.request("GET", "/sse?events=2&interval=60")
        response = stream.getresponse()
        assert response.readline()
        assert [local.ask(f"/status/{code}").status for code in (200, 201, 404)] == [200, 201, 404]
        assert len(status(local)["environments"]) == 2
