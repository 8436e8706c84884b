"""Whole lives of the runtime as Lambda starts it: real processes, from init to shutdown."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from time import time
from typing import Any

import pytest

from tests.events import SQS, function_url
from tests.runtime_process import RuntimeProcess, app_command
from tests.scripted_app import PATIENCE, Received, ScriptedApp, response
from tests.scripted_runtime_api import EXTENSION, RUNTIME, Call, ScriptedRuntimeApi

STREAMED = {"AWS_LWA_INVOKE_MODE": "response_stream"}
SNAP_START = {"AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"}
HOOKS = {"AWS_LWA_SNAPSTART_BEFORE_CHECKPOINT_PATH": "/before", "AWS_LWA_SNAPSTART_AFTER_RESTORE_PATH": "/after"}


def python(code: str) -> list[str]:
    """CMD for a program that is not a server."""
    return [sys.executable, "-c", code]


def body_of(call: Call) -> str:
    body: str = call.json()["body"]
    return body


def gate() -> tuple[Callable[[Received], None], threading.Event]:
    """Return a reply that waits until the test lets it."""
    opened = threading.Event()

    def reply(received: Received) -> None:
        assert opened.wait(PATIENCE)
        received.send(response(received.target.encode(), "Content-Type: text/plain"))

    return reply, opened


# --- invocations --------------------------------------------------------------------------------------------------


def test_invocations_are_served_one_after_the_other_over_one_connection(
    api: ScriptedRuntimeApi, app: ScriptedApp
) -> None:
    with RuntimeProcess(api, app=app, environ={"AWS_LWA_POOL_IDLE_TIMEOUT_SECONDS": "60"}):
        for number in range(5):
            invoked = api.invoke(function_url(f"/{number}"))
            assert body_of(invoked.answer()) == "ok"
            assert len(invoked.ends) == 1
    assert [received.target for received in app.requests] == ["/0", "/1", "/2", "/3", "/4"]
    assert {received.connection for received in app.requests} == {app.requests[0].connection}


def test_invoke_mode_decides_how_the_answer_travels(api: ScriptedRuntimeApi, app: ScriptedApp) -> None:
    with RuntimeProcess(api, app=app, environ=STREAMED):
        call = api.invoke(function_url()).answer()
        assert call.headers["lambda-runtime-function-response-mode"] == "streaming"
        assert bytes(call.body).endswith(b"\0" * 8 + b"ok")
        assert bytes(api.invoke(SQS).answer().body) == b"ok"


def test_what_lambda_refuses_does_not_end_the_loop(api: ScriptedRuntimeApi, app: ScriptedApp) -> None:
    with RuntimeProcess(api, app=app) as runtime:
        for status in (400, 403, 413, 500):
            api.answers["/response"] = (status, b"because")
            invoked = api.invoke(function_url())
            invoked.answer()
            runtime.wait_for_line(f"Lambda refused the response: status {status}: because")
            assert len(invoked.ends) == 1
        api.answers.clear()
        assert body_of(api.invoke(function_url()).answer()) == "ok"


def test_failures_of_the_app_do_not_end_the_loop(api: ScriptedRuntimeApi, app: ScriptedApp) -> None:
    app.replies["/broken"] = b"+PONG\r\n"
    app.replies["/gone"] = Received.hang_up
    with RuntimeProcess(api, app=app):
        assert api.invoke(function_url("/broken")).error().json()["errorType"] == "Adapter.InvalidAppResponse"
        assert api.invoke(function_url("/gone")).error().json()["errorType"] == "Adapter.AppUnreachable"
        assert api.invoke(b"not json").error().json()["errorType"] == "Adapter.InvalidEvent"
        assert body_of(api.invoke(function_url()).answer()) == "ok"


@pytest.mark.parametrize("slots", ["1", "2"])
def test_an_invocation_waits_for_an_app_that_refuses_connections(api: ScriptedRuntimeApi, slots: str) -> None:
    with ScriptedApp() as first, RuntimeProcess(api, app=first, environ={"AWS_LAMBDA_MAX_CONCURRENCY": slots}):
        assert body_of(api.invoke(function_url()).answer()) == "ok"
        first.close()
        late = api.invoke(function_url(method="POST", body="x"), Deadline_Ms=str(round(time() * 1000) + 300))
        error = late.error().json()
        assert error["errorType"] == "Adapter.AppUnreachable"
        assert "s for a restart" in error["errorMessage"]
        # It was reported before its deadline, and the environment lives on.
        waiting = api.invoke(function_url("/waits", method="POST", body="x"))
        api.wait_until_empty()
        with ScriptedApp(port=first.port):
            assert body_of(waiting.answer()) == "ok"


def test_next_that_fails_for_a_while_does_not_end_the_runtime(api: ScriptedRuntimeApi, app: ScriptedApp) -> None:
    api.answers["/invocation/next"] = (500, b"busy")
    with RuntimeProcess(api, app=app):
        api.wait_for("/invocation/next", count=2)
        api.answers.clear()
        assert body_of(api.invoke(function_url()).answer()) == "ok"


def test_a_runtime_api_that_stays_away_ends_the_runtime_with_the_reason(app: ScriptedApp) -> None:
    with ScriptedRuntimeApi() as api, RuntimeProcess(api, app=app) as runtime:
        api.wait_until_waiting()
        api.answers["/invocation/next"] = (500, b"out of order")
        api.invoke(function_url()).answer()
        assert runtime.exit_code() == 1
        assert "adapter ERROR the runtime ends: the Runtime API at " in runtime.stderr()
        assert " sent no invocation: " in runtime.stderr()
        assert "out of order" in runtime.stderr()


def test_the_runtime_api_of_a_proxy_gives_the_invocations(api: ScriptedRuntimeApi, app: ScriptedApp) -> None:
    with (
        ScriptedRuntimeApi() as proxy,
        RuntimeProcess(api, app=app, environ={"AWS_LWA_LAMBDA_RUNTIME_API_PROXY": proxy.address}),
    ):
        assert body_of(proxy.invoke(function_url()).answer()) == "ok"
        assert {call.path for call in api.calls} <= {f"{EXTENSION}/register", f"{EXTENSION}/event/next"}
        assert not [call for call in proxy.calls if "extension" in call.path]


# --- init ---------------------------------------------------------------------------------------------------------


def test_the_extension_is_registered_for_no_events_before_the_first_next(
    api: ScriptedRuntimeApi, app: ScriptedApp
) -> None:
    with RuntimeProcess(api, app=app, environ={"ADAPTER_EXTENSION_NAME": "my-adapter"}):
        api.wait_until_waiting()
        api.wait_for("/event/next")
        paths = [call.path for call in api.calls]
        assert paths.index(f"{EXTENSION}/register") < paths.index(f"{RUNTIME}/invocation/next")
        register = api.wait_for("/register").wait()
        assert register.json() == {"events": []}
        assert register.headers["lambda-extension-name"] == "my-adapter"


def test_a_refused_registration_is_a_warning(api: ScriptedRuntimeApi, app: ScriptedApp) -> None:
    api.answers["/register"] = (403, b'{"errorType":"Extension.Refused"}')
    with RuntimeProcess(api, app=app) as runtime:
        assert "Extension.Refused" in runtime.wait_for_line("WARN the runtime is not registered as an extension")
        assert body_of(api.invoke(function_url()).answer()) == "ok"


def test_a_command_gets_a_free_port_where_it_asks_for_one(api: ScriptedRuntimeApi) -> None:
    with RuntimeProcess(api, *app_command()) as runtime:
        assert body_of(api.invoke(function_url()).answer()) == "ok"
        assert int(runtime.wait_for_line("PORT is").split()[-1]) > 1024


def test_a_command_gets_its_port(api: ScriptedRuntimeApi) -> None:
    with ScriptedApp() as spare:
        port = str(spare.port)
    with RuntimeProcess(api, *app_command(port), environ={"AWS_LWA_PORT": port}) as runtime:
        assert body_of(api.invoke(function_url()).answer()) == "ok"
        runtime.wait_for_line(f"PORT is {port}")


def test_an_app_behind_a_unix_socket_is_served(api: ScriptedRuntimeApi, tmp_path: Path) -> None:
    path = str(tmp_path / "app.sock")
    with RuntimeProcess(api, *app_command(path), environ={"ADAPTER_APP_SOCKET": path}):
        assert body_of(api.invoke(function_url()).answer()) == "ok"


def test_a_command_runs_in_the_users_folder_with_the_users_variables(api: ScriptedRuntimeApi, tmp_path: Path) -> None:
    code = "import os; os.write(2, (os.getcwd() + ' ' + os.environ['MINE']).encode()); raise SystemExit(3)"
    environ = {"ADAPTER_APP_DIR": str(tmp_path), "MINE": "yes"}
    with RuntimeProcess(api, *python(code), environ=environ) as runtime:
        assert runtime.exit_code() == 3
        assert f"{tmp_path} yes" in runtime.stderr()


EARLY_ENDS = [
    pytest.param(
        python("import sys; sys.exit('no database')"), 1, "exit code 1 before it was ready: no database", id="1"
    ),
    pytest.param(python("import os; os._exit(42)"), 42, "exit code 42 before it was ready", id="42"),
    pytest.param(python("import os; os.abort()"), 134, "exit code 134 (SIGABRT) before it was ready", id="signal"),
    pytest.param(
        python("import sys; print('ReferenceError: awslambda is not defined\\n\\nNode', file=sys.stderr); sys.exit(1)"),
        1,
        "exit code 1 before it was ready (awslambda exists only in AWS's Node runtime; docs/plain-handlers.md shows",
        id="a-plain-handler",
    ),
    pytest.param(python("pass"), 1, "exit code 0 before it was ready (a command that starts", id="0-is-no-success"),
]


@pytest.mark.parametrize(("command", "code", "message"), EARLY_ENDS)
def test_an_app_that_ends_before_it_is_ready_fails_init_with_its_last_lines(
    api: ScriptedRuntimeApi, command: list[str], code: int, message: str
) -> None:
    with RuntimeProcess(api, *command) as runtime:
        assert runtime.exit_code() == code
        call = api.wait_for("/init/error").wait()
        assert call.headers["lambda-runtime-function-error-type"] == "Runtime.ExitError"
        assert call.json()["errorType"] == "Adapter.AppExited"
        assert message in call.json()["errorMessage"]
        assert message in runtime.stderr()
        assert not [call for call in api.calls if call.path.endswith("/invocation/next")]


@pytest.mark.parametrize(
    ("command", "message"),
    [
        pytest.param(
            ["/nowhere/app"], "CMD: '/nowhere/app' is not a program that can be run (it does not", id="not-found"
        ),
        pytest.param(["/"], "CMD: '/' is not a program that can be run (it is a folder)", id="not-executable"),
    ],
)
def test_a_command_that_cannot_be_started_is_a_mistake_in_the_settings(
    api: ScriptedRuntimeApi, command: list[str], message: str
) -> None:
    with RuntimeProcess(api, *command) as runtime:
        assert runtime.exit_code() == 2
        call = api.wait_for("/init/error").wait()
        assert call.headers["lambda-runtime-function-error-type"] == "Runtime.InvalidConfiguration"
        assert call.json()["errorType"] == "Adapter.InvalidConfiguration"
        assert message in call.json()["errorMessage"]
        assert runtime.stderr().startswith(f"adapter: {message}")


def test_an_app_that_is_not_there_is_reported_after_some_seconds(api: ScriptedRuntimeApi) -> None:
    with RuntimeProcess(api, environ={"AWS_LWA_PORT": "1"}) as runtime:
        line = runtime.wait_for_line("the app is not ready after 4 s")
        assert line.startswith("adapter WARN ")
        assert line.endswith("or set its port with --app-port (AWS_LWA_PORT)")
        runtime.terminate()


def test_a_traceback_is_in_the_log_once_and_its_cause_in_the_adapters_line(api: ScriptedRuntimeApi) -> None:
    with RuntimeProcess(api, *python("import no_such_module")) as runtime:
        assert runtime.exit_code() == 1
        cause = "ModuleNotFoundError: No module named 'no_such_module'"
        line = runtime.wait_for_line("adapter ERROR")
        assert line.startswith(
            "adapter ERROR Adapter.AppExited (docs/errors.md): the app ended with exit code 1 before it was ready ("
        )
        assert line.endswith(f"): {cause}")
        assert runtime.stderr().count("Traceback") == 1
        first, *said = api.wait_for("/init/error").wait().json()["errorMessage"].splitlines()
        assert line.endswith(first)
        assert said[0] == "Traceback (most recent call last):"


def test_the_init_error_has_the_last_lines_of_the_apps_stderr(api: ScriptedRuntimeApi) -> None:
    code = "import sys\nfor n in range(2000): print('line', n, file=sys.stderr)\nsys.exit(9)"
    with RuntimeProcess(api, *python(code)) as runtime:
        assert runtime.exit_code() == 9
        message = api.wait_for("/init/error").wait().json()["errorMessage"]
        first, *_, last = message.partition(": ")[2].splitlines()
        assert first.startswith("line ")
        assert last == "line 1999"
        assert len(message) < 4500
        assert "line 0\n" in runtime.stderr()


def test_an_app_that_does_not_become_ready_in_time_fails_init(api: ScriptedRuntimeApi, app: ScriptedApp) -> None:
    app.default = response(b"", status=500)
    with RuntimeProcess(api, app=app, environ={"AWS_LWA_READINESS_CHECK_TIMEOUT_SECONDS": "0.3"}) as runtime:
        assert runtime.exit_code() == 1
        call = api.wait_for("/init/error").wait()
        assert call.json()["errorType"] == "Adapter.AppNotReady"
        assert "not ready after 0.3 s: GET / answered 500" in call.json()["errorMessage"]


def test_an_app_that_is_not_ready_in_time_is_ended(api: ScriptedRuntimeApi) -> None:
    environ = {"AWS_LWA_READINESS_CHECK_TIMEOUT_SECONDS": "0.5", "SCRIPTED_REPLY": "HTTP/1.1 500 No\r\n\r\n"}
    with RuntimeProcess(api, *app_command(), environ=environ) as runtime:
        assert runtime.exit_code() == 1
        assert "bye on SIGTERM" in runtime.stderr()


def test_mistakes_in_the_settings_fail_init_all_at_once(api: ScriptedRuntimeApi) -> None:
    environ = {"AWS_LWA_INVOKE_MODE": "streaming", "AWS_LWA_READINESS_CHECK_PORT": "http"}
    with RuntimeProcess(api, *python("print('never')"), environ=environ) as runtime:
        assert runtime.exit_code() == 2
        call = api.wait_for("/init/error").wait()
        assert call.json()["errorType"] == "Adapter.InvalidConfiguration"
        for text in (call.json()["errorMessage"], runtime.stderr()):
            assert "AWS_LWA_INVOKE_MODE: 'streaming' is not one of buffered, response_stream" in text
            assert "AWS_LWA_READINESS_CHECK_PORT: 'http' is not a port" in text
        assert [call.path for call in api.calls] == [f"{RUNTIME}/init/error"]


UNREACHABLE = [
    pytest.param("127.0.0.1:1", "refused", id="nobody-listens"),
    pytest.param("nonsense", "could not be reported", id="not-an-address"),
    pytest.param("..:80", "could not be reported", id="not-a-host"),
    pytest.param("127.0.0.1:99999", "'127.0.0.1:99999' has no port from 0 to 65535", id="not-a-port"),
]


@pytest.mark.parametrize(("address", "message"), UNREACHABLE)
def test_mistakes_without_a_runtime_api_to_tell_them_are_still_shown(address: str, message: str) -> None:
    environ = {"AWS_LAMBDA_RUNTIME_API": address, "AWS_LWA_INVOKE_MODE": "x"}
    with RuntimeProcess(None, environ=environ) as runtime:
        assert runtime.exit_code() == 2
        assert "AWS_LWA_INVOKE_MODE" in runtime.stderr()
        assert message in runtime.stderr()
        assert "Traceback" not in runtime.stderr()


@pytest.mark.parametrize("variable", ["AWS_LAMBDA_RUNTIME_API", "AWS_LWA_LAMBDA_RUNTIME_API_PROXY"])
@pytest.mark.parametrize("address", ["127.0.0.1:99999", "127.0.0.1:-1"])
def test_an_address_without_a_port_is_a_mistake_in_the_settings(variable: str, address: str) -> None:
    environ = {"AWS_LAMBDA_RUNTIME_API": "127.0.0.1:1", variable: address}
    with RuntimeProcess(None, environ=environ) as runtime:
        assert runtime.exit_code() == 2
        mistake, untold = runtime.stderr().splitlines()
        assert mistake.startswith(f"adapter: {variable}: '{address}' is not HOST:PORT")
        assert untold.startswith("adapter: the error above could not be reported to the Runtime API: ")


@pytest.mark.parametrize("address", ["127.0.0.1:1", "..:80"])
def test_a_runtime_api_that_was_never_there_ends_the_runtime_with_the_reason(app: ScriptedApp, address: str) -> None:
    with RuntimeProcess(None, app=app, environ={"AWS_LAMBDA_RUNTIME_API": address}) as runtime:
        assert runtime.exit_code() == 1
        assert f"the runtime ends: the Runtime API at {address} sent no invocation: " in runtime.stderr()
        assert "Traceback" not in runtime.stderr()


def test_warnings_about_the_settings_are_logged(api: ScriptedRuntimeApi, app: ScriptedApp) -> None:
    with RuntimeProcess(api, app=app, environ={"READINESS_CHECK_PATH": "/", "AWS_LWA_PORTS": "1"}) as runtime:
        runtime.wait_for_line("WARN READINESS_CHECK_PATH is deprecated; use AWS_LWA_READINESS_CHECK_PATH")
        runtime.wait_for_line("WARN AWS_LWA_PORTS is not known and has no effect; did you mean AWS_LWA_PORT?")


# --- async init ---------------------------------------------------------------------------------------------------

ASYNC = {"AWS_LWA_ASYNC_INIT": "true", "AWS_LWA_READINESS_CHECK_TIMEOUT_SECONDS": "0.5"}


def test_with_async_init_a_slow_app_finishes_starting_within_the_first_invocation(
    api: ScriptedRuntimeApi, app: ScriptedApp
) -> None:
    app.default = response(b"", status=500)
    with RuntimeProcess(api, app=app, environ=ASYNC | {"AWS_LWA_READINESS_CHECK_TIMEOUT_SECONDS": "1"}) as runtime:
        runtime.wait_for_line("INFO the app is not ready yet; the first invocation waits for it")
        api.wait_until_waiting()
        app.default = response(b"ready", "Content-Type: text/plain")
        assert body_of(api.invoke(function_url("/x")).answer()) == "ready"


@pytest.mark.parametrize("slots", ["1", "4"])
def test_with_async_init_an_app_that_never_gets_ready_fails_the_invocation_alone(
    api: ScriptedRuntimeApi, app: ScriptedApp, slots: str
) -> None:
    app.default = response(b"", status=500)
    with RuntimeProcess(api, app=app, environ=ASYNC | {"AWS_LAMBDA_MAX_CONCURRENCY": slots}) as runtime:
        for _ in range(2):
            invoked = api.invoke(function_url())
            assert invoked.error().json()["errorType"] == "Adapter.AppNotReady"
            assert len(invoked.ends) == 1
        runtime.terminate()
        assert runtime.exit_code() == 0


# The adapter, with a warning after a time that is short for a test.
IMPATIENT = (
    "-c",
    "import runpy, sys\n"
    "from adapter.app import readiness\n"
    "readiness.WARN_AFTER = 0.2\n"
    "del sys.argv[1:3]\n"
    "runpy.run_module('adapter', run_name='__main__', alter_sys=True)",
)


def test_with_async_init_and_many_slots_a_long_wait_is_logged_once(api: ScriptedRuntimeApi, app: ScriptedApp) -> None:
    app.default = response(b"", status=500)
    environ = ASYNC | {"AWS_LAMBDA_MAX_CONCURRENCY": "4"}
    with RuntimeProcess(api, app=app, environ=environ, interpreter=IMPATIENT) as runtime:
        for invoked in [api.invoke(function_url()) for _ in range(4)]:
            assert invoked.error().json()["errorType"] == "Adapter.AppNotReady"
        runtime.terminate()
        assert runtime.stderr().count("the app is not ready after 0.2 s") == 1


def test_with_async_init_an_app_that_ends_fails_the_invocation_and_then_the_runtime(
    api: ScriptedRuntimeApi, tmp_path: Path
) -> None:
    fifo = str(tmp_path / "end")
    os.mkfifo(fifo)
    code = f"import sys; open({fifo!r}).read(); sys.exit('out of money')"
    environ = {"AWS_LWA_ASYNC_INIT": "1", "AWS_LWA_READINESS_CHECK_TIMEOUT_SECONDS": "1"}
    with RuntimeProcess(api, *python(code), environ=environ) as runtime:
        runtime.wait_for_line("the app is not ready yet")
        invoked = api.invoke(function_url())
        api.wait_until_empty()
        open(fifo, "w").close()
        error = invoked.error().json()
        assert error["errorType"] == "Adapter.AppExited"
        assert "out of money" in error["errorMessage"]
        assert "error=Adapter.AppExited" in runtime.wait_for_line("ERROR invocation requestId=")
        assert runtime.exit_code() == 1


@pytest.mark.parametrize("kind", ["snap-start", "provisioned-concurrency", "lambda-managed-instances"])
def test_async_init_is_ignored_with_a_warning_where_init_may_take_longer(
    api: ScriptedRuntimeApi, app: ScriptedApp, kind: str
) -> None:
    app.default = response(b"", status=500)
    environ = ASYNC | {"AWS_LAMBDA_INITIALIZATION_TYPE": kind}
    with RuntimeProcess(api, app=app, environ=environ) as runtime:
        runtime.wait_for_line(f"WARN AWS_LWA_ASYNC_INIT has no effect with the initialization type {kind}")
        assert runtime.exit_code() == 1
        assert api.wait_for("/init/error").wait().json()["errorType"] == "Adapter.AppNotReady"


# --- the end ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_idle_reaches_the_app_once_and_its_exit_code_is_ours(
    api: ScriptedRuntimeApi, number: signal.Signals
) -> None:
    with RuntimeProcess(api, *app_command()) as runtime:
        api.wait_until_waiting()
        runtime.process.send_signal(number)
        assert runtime.exit_code() == 7
        assert runtime.stderr().count(f"bye on {number.name}") == 1


def test_a_signal_without_an_app_of_ours_ends_the_runtime_well(api: ScriptedRuntimeApi, app: ScriptedApp) -> None:
    with RuntimeProcess(api, app=app) as runtime:
        api.wait_until_waiting()
        runtime.terminate()
        assert runtime.exit_code() == 0


def test_an_app_that_does_not_end_in_time_is_killed(api: ScriptedRuntimeApi, tmp_path: Path) -> None:
    code = (
        "import signal, socket\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "server = socket.create_server(('127.0.0.1', {port}))\n"
        "while True: server.accept()"
    )
    environ = {"AWS_LWA_READINESS_CHECK_PROTOCOL": "tcp"}
    with RuntimeProcess(api, *python(code), environ=environ) as runtime:
        api.wait_until_waiting()
        runtime.terminate()
        assert runtime.exit_code() == 128 + signal.SIGKILL


def test_a_signal_before_the_app_is_ready_ends_both_without_an_init_error(api: ScriptedRuntimeApi) -> None:
    code = (
        "import os, signal, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: os._exit(5))\n"
        "os.write(2, b'starting\\n')\n"
        "while True: signal.pause()"
    )
    with RuntimeProcess(api, *python(code)) as runtime:
        runtime.wait_for_line("starting")
        api.wait_for("/event/next")
        runtime.terminate()
        assert runtime.exit_code() == 5
        assert not [call for call in api.calls if call.path.endswith("/init/error")]


@pytest.mark.parametrize(("slots", "code"), [(1, 0), (1, 3), (8, 3)])
def test_an_app_that_ends_while_idle_ends_the_runtime_with_its_exit_code(
    api: ScriptedRuntimeApi, tmp_path: Path, slots: int, code: int
) -> None:
    program = (
        "import os, socket\n"
        "server = socket.create_server(('127.0.0.1', {port}))\n"
        "server.accept()\n"
        "os.read(os.open(os.environ['FIFO'], os.O_RDONLY), 1)\n"
        f"os._exit({code})"
    )
    fifo = str(tmp_path / "end")
    os.mkfifo(fifo)
    environ = {
        "AWS_LWA_READINESS_CHECK_PROTOCOL": "tcp",
        "FIFO": fifo,
        "AWS_LAMBDA_MAX_CONCURRENCY": str(slots),
    }
    with RuntimeProcess(api, *python(program), environ=environ) as runtime:
        api.wait_until_waiting(slots=slots)
        open(fifo, "w").close()
        assert runtime.exit_code() == code
        assert re.search(
            rf"ERROR the runtime ends: the app ended with exit code {code}( \(SIG\w+\))?\n", runtime.stderr()
        )


def test_an_app_that_ends_within_an_invocation_fails_it_first_and_then_the_runtime(api: ScriptedRuntimeApi) -> None:
    program = (
        "import os, socket\n"
        "server = socket.create_server(('127.0.0.1', {port}))\n"
        "server.accept()[0].close()\n"
        "server.accept()[0].recv(65536)\n"
        "os._exit(6)"
    )
    with RuntimeProcess(api, *python(program), environ={"AWS_LWA_READINESS_CHECK_PROTOCOL": "tcp"}) as runtime:
        invoked = api.invoke(function_url())
        assert invoked.error().json()["errorType"] == "Adapter.AppUnreachable"
        assert runtime.exit_code() == 6
        assert len(invoked.ends) == 1


# Whatever it is asked, it closes the connection and ends. Between the two, another process may run.
DYING_APP = """
import os, socket, sys
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    connection, _ = listener.accept()
    if connection.recv(65536):
        connection.close()
        os._exit(6)
"""


def test_an_app_that_broke_off_and_ends_gets_no_further_invocation(api: ScriptedRuntimeApi) -> None:
    probed_by_tcp = {"AWS_LWA_READINESS_CHECK_PROTOCOL": "tcp"}
    with RuntimeProcess(api, *python(DYING_APP), "{port}", environ=probed_by_tcp) as runtime:
        first, second = api.invoke(function_url("/")), api.invoke(function_url("/"))
        assert first.error().json()["errorType"] == "Adapter.AppUnreachable"
        assert runtime.exit_code() == 6
    assert second.ends == []


def test_a_signal_within_an_invocation_lets_it_finish(api: ScriptedRuntimeApi, app: ScriptedApp) -> None:
    reply, opened = gate()
    app.replies["/slow"] = reply
    with RuntimeProcess(api, app=app) as runtime:
        invoked = api.invoke(function_url("/slow"))
        app.wait_for_request()
        runtime.terminate()
        opened.set()
        assert body_of(invoked.answer()) == "/slow"
        assert runtime.exit_code() == 0


def test_the_app_does_not_outlive_a_runtime_that_is_killed(api: ScriptedRuntimeApi, tmp_path: Path) -> None:
    fifo = str(tmp_path / "alive")
    os.mkfifo(fifo)
    program = f"import os, signal; alive = os.open({fifo!r}, os.O_WRONLY); os.write(alive, b'x'); signal.pause()"
    with RuntimeProcess(api, *python(program)) as runtime, open(fifo, "rb", buffering=0) as alive:
        assert alive.read(1) == b"x"
        runtime.process.kill()
        # The end of the file is the end of the app.
        assert alive.read(1) == b""


# --- SnapStart ----------------------------------------------------------------------------------------------------


def test_with_snap_start_the_hooks_are_called_around_the_snapshot(api: ScriptedRuntimeApi, app: ScriptedApp) -> None:
    app.replies["/before"] = app.replies["/after"] = response(b"", status=204)
    with RuntimeProcess(api, app=app, environ=SNAP_START | HOOKS):
        api.wait_for("/restore/next").wait()
        assert [(received.method, received.target) for received in app.requests] == [("POST", "/before")]
        assert api.waiting == 0
        api.restored.set()
        assert body_of(api.invoke(function_url("/x")).answer()) == "ok"
        assert [received.target for received in app.requests] == ["/before", "/after", "/x"]
        assert api.invoke(function_url("/after", method="POST")).answer().json()["statusCode"] == 403
        assert len(app.requests) == 3


def test_with_snap_start_readiness_is_checked_again_after_the_restore(api: ScriptedRuntimeApi) -> None:
    with ScriptedApp(records_probes=True) as app, RuntimeProcess(api, app=app, environ=SNAP_START):
        api.wait_for("/restore/next").wait()
        assert len(app.requests) == 1
        api.restored.set()
        api.wait_until_waiting()
        assert len(app.requests) == 2


def test_without_snap_start_there_is_no_restore(api: ScriptedRuntimeApi, app: ScriptedApp) -> None:
    with RuntimeProcess(api, app=app, environ=HOOKS):
        assert body_of(api.invoke(function_url()).answer()) == "ok"
        assert not [call for call in api.calls if "restore" in call.path]
        assert [received.target for received in app.requests] == ["/"]


def test_a_hook_that_fails_before_the_snapshot_fails_init(api: ScriptedRuntimeApi, app: ScriptedApp) -> None:
    app.replies["/before"] = response(b"", status=500)
    with RuntimeProcess(api, app=app, environ=SNAP_START | HOOKS) as runtime:
        assert runtime.exit_code() == 1
        call = api.wait_for("/init/error").wait()
        assert call.json()["errorType"] == "Adapter.HookFailed"
        assert "POST /before failed: status 500" in call.json()["errorMessage"]
        assert not [call for call in api.calls if "restore" in call.path]


def test_a_hook_that_fails_after_the_restore_fails_the_restore(api: ScriptedRuntimeApi, app: ScriptedApp) -> None:
    app.replies["/after"] = response(b"", status=500)
    with RuntimeProcess(api, app=app, environ=SNAP_START | HOOKS) as runtime:
        api.restored.set()
        assert runtime.exit_code() == 1
        call = api.wait_for("/restore/error").wait()
        assert call.json()["errorType"] == "Adapter.HookFailed"
        assert not [call for call in api.calls if call.path.endswith(("/init/error", "/invocation/next"))]


def test_an_app_that_is_not_ready_after_the_restore_fails_the_restore(
    api: ScriptedRuntimeApi, app: ScriptedApp
) -> None:
    environ = SNAP_START | {"AWS_LWA_READINESS_CHECK_TIMEOUT_SECONDS": "0.5"}
    with RuntimeProcess(api, app=app, environ=environ) as runtime:
        api.wait_for("/restore/next").wait()
        app.default = response(b"", status=500)
        api.restored.set()
        assert runtime.exit_code() == 1
        assert api.wait_for("/restore/error").wait().json()["errorType"] == "Adapter.AppNotReady"


def test_a_restore_that_lambda_refuses_ends_the_runtime_with_the_reason(
    api: ScriptedRuntimeApi, app: ScriptedApp
) -> None:
    api.answers["/restore/next"] = (403, b"wrong state")
    with RuntimeProcess(api, app=app, environ=SNAP_START) as runtime:
        assert runtime.exit_code() == 1
        assert " did not report the restore: " in runtime.stderr()
        assert "wrong state" in runtime.stderr()


def test_a_signal_while_the_restore_is_waited_for_ends_the_runtime(api: ScriptedRuntimeApi) -> None:
    with RuntimeProcess(api, *app_command(), environ=SNAP_START) as runtime:
        api.wait_for("/restore/next").wait()
        runtime.terminate()
        assert runtime.exit_code() == 7


# --- slots --------------------------------------------------------------------------------------------------------

SLOTS = {"AWS_LAMBDA_MAX_CONCURRENCY": "8"}


@pytest.mark.parametrize("environ", [SLOTS, SLOTS | STREAMED], ids=["buffered", "streamed"])
def test_slots_serve_at_the_same_time_and_answer_by_request_id(
    api: ScriptedRuntimeApi, app: ScriptedApp, environ: dict[str, str]
) -> None:
    gates = {f"/{number}": gate() for number in range(8)}
    for path, (reply, _) in gates.items():
        app.replies[path] = reply
    with RuntimeProcess(api, app=app, environ=environ) as runtime:
        api.wait_until_waiting(slots=8)
        invoked = {path: api.invoke(function_url(path)) for path in gates}
        app.wait_for_request(8)
        for path in sorted(gates, reverse=True):
            gates[path][1].set()
            call = invoked[path].answer()
            assert path in (body_of(call) if environ == SLOTS else bytes(call.body).decode())
        assert all(len(each.ends) == 1 for each in invoked.values())
        runtime.terminate()
        assert runtime.exit_code() == 0


def test_the_deadline_of_one_slot_ends_its_request_alone(api: ScriptedRuntimeApi, app: ScriptedApp) -> None:
    reply, opened = gate()
    app.replies["/slow"] = reply
    app.replies["/late"] = Received.wait_for_hang_up
    with RuntimeProcess(api, app=app, environ=SLOTS):
        slow = api.invoke(function_url("/slow"), Deadline_Ms=str(int((time() + 600) * 1000)))
        app.wait_for_request()
        late = api.invoke(function_url("/late"), Deadline_Ms=str(int((time() + 0.3) * 1000)))
        assert late.error().json()["errorType"] == "Adapter.AppTimeout"
        assert slow.ends == []
        opened.set()
        assert body_of(slow.answer()) == "/slow"
        assert len(late.ends) == 1


def test_a_slow_answer_in_one_of_many_slots_delays_no_other(api: ScriptedRuntimeApi, app: ScriptedApp) -> None:
    reply, opened = gate()
    app.replies["/slow"] = reply
    with RuntimeProcess(api, app=app, environ={"AWS_LAMBDA_MAX_CONCURRENCY": "64"}):
        api.wait_until_waiting(slots=64)
        slow = api.invoke(function_url("/slow"))
        app.wait_for_request()
        quick = [api.invoke(function_url(f"/{number}")) for number in range(200)]
        assert {body_of(invoked.answer()) for invoked in quick} == {"ok"}
        assert slow.ends == []
        opened.set()
        assert body_of(slow.answer()) == "/slow"
        assert all(len(invoked.ends) == 1 for invoked in (slow, *quick))


def test_megabytes_on_their_way_in_one_slot_delay_no_other(api: ScriptedRuntimeApi, app: ScriptedApp) -> None:
    opened = threading.Event()
    half = b"x" * 2_000_000

    def upload(received: Received) -> None:
        received.read_some(1000)
        assert opened.wait(PATIENCE)
        received.read_body()
        received.send(response(half, "Content-Type: text/plain")[: -len(half) // 2])
        received.send(half[: len(half) // 2])

    app.replies["/upload"] = upload
    with RuntimeProcess(api, app=app, environ=SLOTS):
        big = api.invoke(function_url("/upload", method="POST", body="x" * 5_000_000))
        app.wait_for_request()
        assert body_of(api.invoke(function_url("/quick")).answer()) == "ok"
        assert big.ends == []
        opened.set()
        assert len(body_of(big.answer())) == len(half)


def test_a_signal_within_invocations_lets_all_slots_finish(api: ScriptedRuntimeApi, app: ScriptedApp) -> None:
    reply, opened = gate()
    app.default = reply
    opened.set()
    with RuntimeProcess(api, app=app, environ=SLOTS) as runtime:
        api.wait_until_waiting(slots=8)
        opened.clear()
        invoked = [api.invoke(function_url(f"/{number}")) for number in range(5)]
        app.wait_for_request(5)
        runtime.terminate()
        opened.set()
        assert {body_of(each.answer()) for each in invoked} == {"/0", "/1", "/2", "/3", "/4"}
        assert runtime.exit_code() == 0


def test_an_app_that_dies_fails_the_invocation_of_every_slot_and_then_the_runtime(
    api: ScriptedRuntimeApi, tmp_path: Path
) -> None:
    fifo = str(tmp_path / "end")
    os.mkfifo(fifo)
    program = (
        "import os, socket\n"
        "server = socket.create_server(('127.0.0.1', {port}))\n"
        "server.accept()\n"
        "kept = [server.accept()[0] for _ in range(8)]\n"
        "os.read(os.open(os.environ['FIFO'], os.O_RDONLY), 1)\n"
        "os._exit(6)"
    )
    environ = SLOTS | {"AWS_LWA_READINESS_CHECK_PROTOCOL": "tcp", "FIFO": fifo}
    with RuntimeProcess(api, *python(program), environ=environ) as runtime:
        invoked = [api.invoke(function_url()) for _ in range(8)]
        api.wait_until_empty()
        # The end of the file is the end of the app.
        open(fifo, "wb").close()
        assert {each.error().json()["errorType"] for each in invoked} == {"Adapter.AppUnreachable"}
        assert runtime.exit_code() == 6
        assert all(len(each.ends) == 1 for each in invoked)


# Longer than slots have after SIGTERM, in seconds.
PAST_THE_GRACE = 0.5


def slow_gate() -> tuple[Callable[[Received], None], threading.Event]:
    """Return a reply that comes late, unless the adapter gives up before."""
    opened = threading.Event()

    def reply(received: Received) -> None:
        assert opened.wait(PATIENCE)
        if not received.is_hung_up_on(PAST_THE_GRACE):
            received.send(response(b"late", "Content-Type: text/plain"))

    return reply, opened


def test_a_slot_whose_app_serves_on_without_its_main_process_finishes_its_invocation(
    api: ScriptedRuntimeApi, app: ScriptedApp, tmp_path: Path
) -> None:
    fifo = str(tmp_path / "end")
    os.mkfifo(fifo)
    app.replies["/slow"], opened = slow_gate()
    main_process = python(f"import sys; open({fifo!r}).read(); sys.stderr.write('gone\\n'); sys.exit(3)")
    with RuntimeProcess(api, *main_process, app=app, environ=SLOTS) as runtime:
        api.wait_until_waiting(slots=8)
        invoked = api.invoke(function_url("/slow"))
        app.wait_for_request()
        open(fifo, "w").close()
        runtime.wait_for_line("gone")
        opened.set()
        assert body_of(invoked.answer()) == "late"
        assert runtime.exit_code() == 3
        assert len(invoked.ends) == 1


def test_a_slot_finishes_its_invocation_where_the_others_get_no_further_one(
    api: ScriptedRuntimeApi, app: ScriptedApp
) -> None:
    app.replies["/slow"], opened = slow_gate()
    with RuntimeProcess(api, app=app, environ={"AWS_LAMBDA_MAX_CONCURRENCY": "2"}) as runtime:
        slow = api.invoke(function_url("/slow"))
        app.wait_for_request()
        api.wait_until_waiting()
        api.answers["/invocation/next"] = (500, b"out of order")
        api.invoke(function_url()).answer()
        runtime.wait_for_line(" sent no invocation: ")
        opened.set()
        assert body_of(slow.answer()) == "late"
        assert runtime.exit_code() == 1
        assert len(slow.ends) == 1


@pytest.mark.parametrize("begun", [b"", response(b"12345", "Content-Type: text/plain")[:-3]], ids=["silent", "begun"])
@pytest.mark.parametrize("environ", [SLOTS, SLOTS | STREAMED], ids=["buffered", "streamed"])
def test_a_signal_ends_requests_that_an_app_of_another_owner_does_not_answer_in_time(
    api: ScriptedRuntimeApi, app: ScriptedApp, environ: dict[str, str], begun: bytes
) -> None:
    def reply(received: Received) -> None:
        received.send(begun)
        received.wait_for_hang_up()

    app.replies["/slow"] = reply
    with RuntimeProcess(api, app=app, environ=environ) as runtime:
        invoked = [api.invoke(function_url("/slow")) for _ in range(8)]
        app.wait_for_request(8)
        if begun and environ != SLOTS:
            for each in invoked:
                each.begun().next_chunk()
        runtime.terminate()
        calls = [each.begun().wait() for each in invoked]
        errors = [call.json() if call.path.endswith("/error") else call.trailing_error for call in calls]
        assert {error["errorType"] for error in errors} == {"Adapter.AppTimeout"}
        assert runtime.exit_code() == 0
        assert all(len(each.ends) == 1 for each in invoked)


@pytest.mark.parametrize(("slots", "imported"), [("1", False), ("2", True)])
def test_one_slot_does_without_what_many_need(
    api: ScriptedRuntimeApi, app: ScriptedApp, slots: str, imported: bool
) -> None:
    environ = {"AWS_LAMBDA_MAX_CONCURRENCY": slots}
    with RuntimeProcess(api, app=app, environ=environ, interpreter=("-X", "importtime")) as runtime:
        api.invoke(function_url()).answer()
        runtime.terminate()
        assert runtime.exit_code() == 0
        assert ("greenlet" in runtime.stderr()) is imported


def test_an_app_that_gets_a_signal_to_end_ends_all_slots_with_its_exit_code(api: ScriptedRuntimeApi) -> None:
    with RuntimeProcess(api, *app_command(), environ=SLOTS) as runtime:
        api.wait_until_waiting(slots=8)
        runtime.terminate()
        assert runtime.exit_code() == 7


def test_a_runtime_api_that_stays_away_ends_all_slots(app: ScriptedApp) -> None:
    with ScriptedRuntimeApi() as api:
        api.answers["/invocation/next"] = (500, b"out of order")
        with RuntimeProcess(api, app=app, environ=SLOTS) as runtime:
            assert runtime.exit_code() == 1
            assert "out of order" in runtime.stderr()


# --- lines --------------------------------------------------------------------------------------------------------


def test_with_json_every_line_of_ours_is_json(api: ScriptedRuntimeApi, app: ScriptedApp) -> None:
    environ = {"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LWA_UNKNOWN": "1"}
    with RuntimeProcess(api, app=app, environ=environ) as runtime:
        api.invoke(function_url("/a"), request_id="r-1").answer()
        runtime.wait_for_line("invocation")
        runtime.terminate()
        records: list[dict[str, Any]] = [json.loads(line) for line in runtime.stderr().splitlines()]
    assert [record["level"] for record in records] == ["WARN", "INFO"]
    assert records[1]["requestId"] == "r-1"
    assert records[1]["path"] == "/a"


def test_the_apps_own_lines_are_passed_on_as_they_are(api: ScriptedRuntimeApi) -> None:
    code = "import os; os.write(2, b'\\xff raw\\n'); os._exit(1)"
    with RuntimeProcess(api, *python(code)) as runtime:
        assert runtime.exit_code() == 1
        assert b"\xff raw\n" in runtime.raw_stderr()
