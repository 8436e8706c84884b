"""The examples for OpenAI's client, Express, Next.js and Go in ``adapter dev``. npm builds into ``.cache``."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.local_lambda import local_lambda
from tests.toolchains.build import FIRST_BUILD, go_example, node_example

pytestmark = pytest.mark.timeout(FIRST_BUILD)

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
UVICORN = (sys.executable, "-m", "uvicorn", "main:app", "--port", "{port}", "--log-level", "warning")
LINES = [f"line {number}" for number in range(1, 6)]
#: How long a client may take, its own start included, in seconds.
CLIENT_SECONDS = 120


def client_lines(*command: str) -> tuple[list[float], list[str]]:
    """Return the seconds and the texts of the lines that a client wrote."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=CLIENT_SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    pairs = [line.partition(" ") for line in done.stdout.splitlines()]
    return [float(seconds) for seconds, _, _ in pairs], [text for _, _, text in pairs]


def test_openais_client_gets_each_token_as_it_is_made() -> None:
    folder = EXAMPLES / "openai_app"
    with local_lambda(*UVICORN, directory=folder) as running:
        url = f"http://127.0.0.1:{running.port}"
        seconds, tokens = client_lines(sys.executable, str(folder / "client.py"), url)

    assert tokens == ["one", "two", "three", "four", "five"]
    # The app pauses four times between the first and the last.
    assert seconds[-1] - seconds[0] > 0.3


def test_express_streams_to_nodes_fetch() -> None:
    folder = node_example("express_app")
    with local_lambda("env", "PORT={port}", "node", "server.js", directory=folder) as running:
        assert running.ask("/").body == b'{"framework":"express"}'
        seconds, lines = client_lines("node", str(folder / "client.js"), f"http://127.0.0.1:{running.port}")

    assert lines == LINES
    assert seconds[-1] - seconds[0] > 0.6


def test_nextjs_sends_the_quick_part_of_a_page_first() -> None:
    folder = node_example("nextjs_app", "build")
    command = ("env", "PORT={port}", "HOSTNAME=127.0.0.1", "node", ".next/standalone/server.js")
    with local_lambda(*command, directory=folder) as running:
        with running.connect() as connection:
            connection.request("GET", "/")
            response = connection.getresponse()
            first = response.read1()
            rest = response.read()
        with running.connect() as connection:
            connection.request("GET", "/api/stream")
            lines = connection.getresponse().read().decode().splitlines()

    assert (b"the quick part" in first, b"the slow part" in first, b"the slow part" in rest) == (True, False, True)
    assert lines == LINES


def test_a_go_program_streams(tmp_path: Path) -> None:
    with local_lambda("env", "PORT={port}", str(go_example()), directory=tmp_path) as running:
        assert running.ask("/hello").body == b"GET /hello from Go\n"
        with running.connect() as connection:
            connection.request("GET", "/stream")
            response = connection.getresponse()
            assert response.read1() == b"line 1\n"
            assert response.read().decode().splitlines() == LINES[1:]


def test_a_go_program_is_built_for_the_custom_runtime_as_sam_does(tmp_path: Path) -> None:
    make = shutil.which("make")
    assert make
    environ = os.environ | {"ARTIFACTS_DIR": str(tmp_path)}

    subprocess.run([make, "build-Web"], cwd=EXAMPLES / "go_app", env=environ, check=True)

    assert [path.name for path in tmp_path.iterdir()] == ["server"]
