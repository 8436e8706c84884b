"""The layer's zip file, unpacked as /opt, in AWS's own Lambda emulator."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.deploy.images.conftest import BUILD_SECONDS, InRoot
from tests.e2e.official_emulator import emulated
from tests.events import function_url
from tests.unused_port import unused_port

pytestmark = pytest.mark.timeout(BUILD_SECONDS)

# In a mount namespace of its own, so that /opt is what Lambda has there, and nothing else sees it.
MOUNT_OPT = 'mount --bind "$0" /opt && exec "$@"'
NODE_APP = """#!/usr/bin/env node
require("node:http").createServer((request, response) => {
  response.write("one ");
  setTimeout(() => response.end(JSON.stringify(process.env)), 100);
}).listen(process.env.PORT, "127.0.0.1");
"""
JAVA_APP = """
import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;

public class App {
  public static void main(String[] arguments) throws Exception {
    int port = Integer.parseInt(System.getenv("PORT"));
    HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", port), 0);
    server.createContext("/", exchange -> {
      exchange.sendResponseHeaders(200, 0);
      exchange.getResponseBody().write("one ".getBytes());
      exchange.getResponseBody().flush();
      exchange.getResponseBody().write(String.valueOf(System.getenv("AWS_LAMBDA_EXEC_WRAPPER")).getBytes());
      exchange.close();
    });
    server.start();
  }
}
"""
RUBY_APP = """
require "socket"
server = TCPServer.new("127.0.0.1", ENV["PORT"].to_i)
loop do
  client = server.accept
  nil until ["\\r\\n", nil].include?(client.gets)
  client.write("HTTP/1.1 200 OK\\r\\nConnection: close\\r\\n\\r\\none ")
  client.write(ENV.fetch("AWS_LAMBDA_EXEC_WRAPPER", "null"))
  client.close
end
"""
#: The app's file with its program, its text, the Debian package with the program, and what Lambda's own runtime for the
#: language is started with: a wrapper gets that as its arguments.
LANGUAGES = {
    "java": (
        ("java", "App.java"),
        JAVA_APP,
        "default-jdk-headless",
        ("/var/lang/bin/java", "-XX:+UseSerialGC", "com.amazonaws.services.lambda.runtime.api.client.AWSLambda"),
    ),
    "ruby": (("ruby", "app.rb"), RUBY_APP, "ruby", ("/var/lang/bin/ruby", "/var/runtime/lib/runtime.rb")),
}
OLD_KERNEL = [sys.executable, str(Path(__file__).with_name("old_kernel.py"))]
# close_range has this number on every machine, and is of Linux 5.9.
CALL_A_NEWER_KERNEL = (
    "import ctypes; libc = ctypes.CDLL(None, use_errno=True); print(libc.syscall(436, 99, 99, 0), ctypes.get_errno())"
)
# Writes down that it ran, and starts what it was given, as the wrappers of tracing layers do.
WRAPPER = '#!/bin/sh\necho "$0 got $#"\nexport TRACED="${AWS_LAMBDA_EXEC_WRAPPER-unset}"\nexec "$@"\n'


def script(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def mounted(opt: Path) -> list[str]:
    """Return the arguments that run a command with ``opt`` at /opt."""
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    return ["unshare", *as_root, "--mount", "sh", "-c", MOUNT_OPT, str(opt)]


def pieces(payload: bytes) -> tuple[int, bytes]:
    """Return the status and the body of a streamed payload."""
    prelude, _, body = payload.partition(bytes(8))
    return json.loads(prelude)["statusCode"], body


@pytest.fixture
def task(tmp_path: Path) -> Path:
    """Return the function's package, with a Node app as its handler ``app.js`` and a start script ``run.sh`` for it."""
    if shutil.which("node") is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("NOT TESTED: apt-get install nodejs")
    folder = tmp_path / "task"
    folder.mkdir()
    script(folder / "app.js", NODE_APP)
    script(folder / "run.sh", '#!/bin/sh\ncd "$LAMBDA_TASK_ROOT"\nexec node app.js\n')
    return folder


def variables(task: Path, **more: str) -> dict[str, str]:
    """What Lambda and a function with this layer set."""
    return {
        "AWS_LAMBDA_EXEC_WRAPPER": "/opt/bootstrap",
        "AWS_LWA_PORT": str(unused_port()),
        "LAMBDA_TASK_ROOT": str(task),
        **more,
    }


@pytest.mark.parametrize("handler", ["app.js", "run.sh"])
@pytest.mark.parametrize("mode", ["buffered", "response_stream"])
def test_a_node_and_a_shell_handler_answer(opt: Path, task: Path, handler: str, mode: str) -> None:
    environ = variables(task, AWS_LWA_INVOKE_MODE=mode)
    with emulated("/opt/bootstrap", handler, directory=task, wrapped_in=mounted(opt), **environ) as emulator:
        payload = emulator.invoke(function_url("/")).payload
    if mode == "buffered":
        answer = json.loads(payload)
        status, body = answer["statusCode"], answer["body"].encode()
    else:
        status, body = pieces(payload)
    assert status == 200
    assert body.startswith(b"one {")
    assert "AWS_LAMBDA_EXEC_WRAPPER" not in json.loads(body.removeprefix(b"one "))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("mode", ["buffered", "response_stream"])
def test_in_the_place_of_javas_and_rubys_own_runtime_it_starts_the_app(
    opt: Path, tmp_path: Path, language: str, mode: str
) -> None:
    (program, file), text, package, own_runtime = LANGUAGES[language]
    if shutil.which(program) is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"NOT TESTED: apt-get install {package}")
    (tmp_path / file).write_text(text)
    script(tmp_path / "run.sh", f'#!/bin/sh\ncd "$LAMBDA_TASK_ROOT"\nexec {program} {file}\n')
    environ = variables(tmp_path, AWS_LWA_INVOKE_MODE=mode)
    command = ("/opt/bootstrap", *own_runtime, "run.sh")
    with emulated(*command, directory=tmp_path, wrapped_in=mounted(opt), **environ) as emulator:
        answer = emulator.invoke(function_url("/")).http(streamed=mode == "response_stream")
    assert (answer[0].status, answer[1]) == (200, b"one null")


def test_another_wrapper_is_chained(opt: Path, task: Path) -> None:
    script(task / "wrapper", WRAPPER)
    environ = variables(task, ADAPTER_EXEC_WRAPPER=str(task / "wrapper"))
    with emulated("/opt/bootstrap", "run.sh", directory=task, wrapped_in=mounted(opt), **environ) as emulator:
        answer = json.loads(emulator.invoke(function_url("/")).payload)
        emulator.output.wait_for("wrapper got 4")
    app = json.loads(answer["body"].removeprefix("one "))
    assert app["TRACED"] == "unset"
    assert not app.keys() & {"ADAPTER_EXEC_WRAPPER", "AWS_LAMBDA_EXEC_WRAPPER"}


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        pytest.param(lambda path: path.chmod(0o644), "is not executable", id="no-run-bit"),
        pytest.param(
            lambda path: path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n")), "CR LF, as on Windows", id="CR-LF"
        ),
        pytest.param(lambda path: path.unlink(), "it does not exist", id="none"),
    ],
)
def test_a_start_script_that_cannot_run_is_an_init_error(
    opt: Path, task: Path, break_it: Callable[[Path], None], message: str
) -> None:
    break_it(task / "run.sh")
    environ = variables(task)
    with emulated("/opt/bootstrap", "run.sh", directory=task, wrapped_in=mounted(opt), **environ) as emulator:
        answer = emulator.invoke(function_url("/")).json()
    assert message in answer["errorMessage"]
    assert str(task / "run.sh") in answer["errorMessage"]


def test_a_start_script_that_starts_the_bootstrap_ends(opt: Path, task: Path) -> None:
    script(task / "run.sh", "#!/bin/sh\nexec /opt/bootstrap\n")
    environ = variables(task)
    with emulated("/opt/bootstrap", "run.sh", directory=task, wrapped_in=mounted(opt), **environ) as emulator:
        answer = emulator.invoke(function_url("/")).json()
    assert "to the app's start script" in answer["errorMessage"]


def test_what_stands_for_an_old_kernel_is_one() -> None:
    command = [sys.executable, "-c", CALL_A_NEWER_KERNEL]
    for words, answer in ((command, "0 0\n"), ([*OLD_KERNEL, *command], f"-1 {errno.ENOSYS}\n")):
        assert subprocess.run(words, capture_output=True, check=True, text=True).stdout == answer


@pytest.mark.parametrize("kernel", [(), OLD_KERNEL], ids=["this-kernel", "4.14"])
def test_it_runs_where_there_is_a_static_shell_and_nothing_else(
    bare_root: Path, in_root: InRoot, kernel: Sequence[str]
) -> None:
    """With the system calls of Amazon Linux 2's kernel: it runs there, whatever its C library."""
    script(bare_root / "var/task/run.sh", "#!/bin/sh\nexec app\n")
    shutil.copytree(bare_root / "opt/adapter", bare_root / "var/runtime/adapter")
    # As in the image of a customer-managed runtime: the layers of a function take /opt.
    shutil.copy(bare_root / "opt/bootstrap", bare_root / "var/runtime/bootstrap")
    for bootstrap in ("/opt/bootstrap", "/var/runtime/bootstrap"):
        inside = [
            *kernel,
            *in_root(bare_root),
            "/bin/busybox",
            "env",
            "-u",
            "LAMBDA_TASK_ROOT",
            "_HANDLER=run.sh",
            bootstrap,
        ]
        environ = {"AWS_LWA_PORT": str(unused_port()), "PATH": "/bin"}
        with emulated(*inside, directory=bare_root, **environ) as emulator:
            assert json.loads(emulator.invoke(function_url("/")).payload)["body"] == "ok"
