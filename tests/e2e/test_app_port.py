"""The app's port, with real processes: a free one for each app, the one it has itself, and who answers there."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.e2e.local_lambda import local_lambda
from tests.unused_port import unused_port

# A server that answers with its port: that of its argument, else that of PORT.
SERVER = """import os, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = str(self.server.server_port).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass

port = int(sys.argv[1] if len(sys.argv) > 1 else os.environ["PORT"])
ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="listeners are found in /proc")


@pytest.fixture
def server(tmp_path: Path) -> Path:
    (tmp_path / "server.py").write_text(SERVER)
    return tmp_path


def test_a_server_that_reads_port_gets_a_free_one_in_each_environment(server: Path) -> None:
    with local_lambda(
        sys.executable, "server.py", directory=server, flags=("--app-port", "0", "--environments", "2")
    ) as local:
        assert local.ask("/").body.isdigit()
        status = subprocess.run(
            ["curl", "-s", f"http://127.0.0.1:{local.invoke_port}/_adapter/status"],
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        assert '"maxEnvironments":2' in status


@on_linux
def test_auto_finds_the_port_that_the_app_has_itself(server: Path) -> None:
    port = unused_port()
    with local_lambda(sys.executable, "server.py", str(port), directory=server, flags=("--app-port", "auto")) as local:
        assert local.ask("/").body == str(port).encode()
        local.output.wait_for(f"the app listens on 127.0.0.1:{port} (--app-port auto)")
        assert local.ask("/again").body == str(port).encode()


@on_linux
def test_an_app_that_listens_elsewhere_is_reported_with_its_port(server: Path) -> None:
    port = unused_port()
    with local_lambda(
        sys.executable, "server.py", str(port), directory=server, flags=("--app-port", str(unused_port()), "--warm")
    ) as local:
        line = local.output.wait_for("the app is not ready: no connection")
        assert f"The app listens on {port}; set --app-port {port} (AWS_LWA_PORT)" in line


@on_linux
def test_an_app_that_opens_another_port_first_is_reported_once_and_waited_for(server: Path) -> None:
    """A port for metrics, for example."""
    port, own = unused_port(), unused_port()
    os.mkfifo(server / "go")
    script = f"{sys.executable} server.py {port} & read line < go; exec {sys.executable} server.py {own}"
    with local_lambda("sh", "-c", script, directory=server, flags=("--app-port", str(own), "--warm")) as local:
        local.output.wait_for(f"The app listens on {port}")
        threading.Thread(target=(server / "go").write_text, args=("go\n",), daemon=True).start()
        assert local.ask("/").body == str(own).encode()
        assert local.output.text.count("the app is not ready") == 1


@on_linux
def test_somebody_elses_server_is_not_taken_for_the_app(server: Path) -> None:
    """It takes the port while the app is starting."""
    port = unused_port()
    fifo = server / "go"
    os.mkfifo(fifo)
    script = f"read line < go; exec {sys.executable} server.py"
    flags = ("--app-port", str(port), "--warm")
    with local_lambda("sh", "-c", script, directory=server, flags=flags) as local:
        # A child of this process, and so none of adapter dev's.
        with subprocess.Popen([sys.executable, "server.py", str(port)], cwd=server) as other:
            try:
                line = local.output.wait_for("is used by another process, not by the app")
                assert f"127.0.0.1:{port} is used by another process, not by the app: pid {other.pid} (" in line
            finally:
                other.kill()
        # The port is free again, and the app takes it.
        threading.Thread(target=fifo.write_text, args=("go\n",), daemon=True).start()
        assert local.ask("/").body == str(port).encode()


def test_a_relative_program_is_found_from_the_current_folder_as_well(server: Path) -> None:
    (server / "bin").mkdir()
    (server / "bin" / "python").symlink_to(sys.executable)
    (server / "app").mkdir()
    (server / "server.py").rename(server / "app" / "server.py")
    flags = ("--app-dir", "app", "--app-port", "0")
    with local_lambda("bin/python", "server.py", directory=server, flags=flags) as local:
        assert local.ask("/").status == 200
