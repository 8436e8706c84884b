"""The wheel, started by the tools with which people start commands, where the app has an ``adapter`` as well."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.local_lambda import local_lambda

INSTALLATION = 300
pytestmark = pytest.mark.timeout(INSTALLATION)

REPOSITORY = Path(__file__).resolve().parents[2]
TOOLS = ("pipx==1.18.4", "uv==0.13.9")
FOREIGN = "raise SystemExit('this is the app')\n"
APP = """
import http.server, os

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"hello")

http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


def run(*command: str | Path, **environ: str) -> None:
    done = subprocess.run(command, env=os.environ | environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the plain wheel, as a release has it."""
    folder = tmp_path_factory.mktemp("wheel")
    run(REPOSITORY / "deploy/build-wheel", folder, PYTHON=sys.executable, COMPILE="no")
    [wheel] = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder with the commands ``uvx`` and ``pipx``."""
    folder = tmp_path_factory.mktemp("tools")
    run(sys.executable, "-m", "venv", folder)
    run(folder / "bin/pip", "install", "--quiet", "--disable-pip-version-check", *TOOLS)
    return folder / "bin"


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """A folder with a module ``adapter``, and with a package of that name and a module ``click`` in ``packages``."""
    (tmp_path / "adapter.py").write_text(FOREIGN)
    (tmp_path / "packages/adapter").mkdir(parents=True)
    (tmp_path / "packages/adapter/__init__.py").write_text(FOREIGN)
    (tmp_path / "packages/click.py").write_text(FOREIGN)
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


@pytest.mark.parametrize("way", ["uvx", "pipx", "pip"])
def test_the_wheel_starts_where_the_app_has_modules_of_the_same_names(
    wheel: Path, tools: Path, app: Path, tmp_path_factory: pytest.TempPathFactory, way: str
) -> None:
    own = tmp_path_factory.mktemp(way)
    requirement = f"{wheel}[br]"
    if way == "pip":
        run(sys.executable, "-m", "venv", own)
        run(own / "bin/pip", "install", "--quiet", "--disable-pip-version-check", requirement)
    command = {
        "pip": [f"{own}/bin/adapter"],
        "pipx": [f"{tools}/pipx", "run", "--python", sys.executable, "--spec", requirement, "adapter"],
        "uvx": [f"{tools}/uvx", "--python", sys.executable, "--from", requirement, "adapter"],
    }[way]
    # A folder that has nothing of an earlier run, and what this machine says about its package index.
    folders = {"PIPX_HOME": own / "home", "PIPX_BIN_DIR": own / "bin", "UV_CACHE_DIR": own / "cache"}
    environ = os.environ | {name: str(path) for name, path in folders.items()} | {"PYTHONPATH": "packages"}
    flags = ("--app-port", "0", "--invoke-port", "0")
    with local_lambda(sys.executable, "-I", "app.py", directory=app, flags=flags, adapter=command, **environ) as local:
        assert (local.ask("/").status, local.ask("/").body) == (200, b"hello")
