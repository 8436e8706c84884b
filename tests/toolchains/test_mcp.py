"""MCP servers behind ``adapter dev --domain``, and their sessions: what docs/lambda.md says to set.

The server and its client are the official SDK's, whose imports take seconds in each environment.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.e2e.local_lambda import LocalLambda, local_lambda

MCP_APP = Path(__file__).resolve().parents[2] / "examples" / "mcp_app"
UVICORN = (sys.executable, "-m", "uvicorn", "main:app", "--port", "{port}", "--log-level", "warning")
# The client and two environments start one after the other, each with all imports of the SDK.
CLIENT_SECONDS = 50
# The protocol without sessions. With "auto" the client falls back to one with sessions after a slow cold start.
MODERN = "2026-07-28"
DOMAIN = "abc.lambda-url.us-east-1.on.aws"


@pytest.fixture
def mcp() -> Path:
    if find_spec("mcp") is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("NOT TESTED: mcp is not installed; run make install")
    return MCP_APP


def ask_mcp(running: LocalLambda, mode: str, idle_path: str = "") -> tuple[int, str]:
    """Return the exit code of the SDK's client, and what it wrote."""
    urls = [f"http://127.0.0.1:{running.port}/mcp", mode]
    if idle_path:
        urls.append(f"http://127.0.0.1:{running.invoke_port}{idle_path}")
    client = subprocess.run(
        [sys.executable, str(MCP_APP / "client.py"), *urls],
        capture_output=True,
        check=False,
        timeout=CLIENT_SECONDS,
        text=True,
    )
    return client.returncode, client.stdout + client.stderr


def test_an_mcp_server_with_its_defaults_works_here(mcp: Path) -> None:
    with local_lambda(*UVICORN, directory=mcp) as running:
        assert ask_mcp(running, MODERN) == (0, "3 7")


def test_an_mcp_server_with_its_defaults_does_not_work_behind_a_domain(mcp: Path) -> None:
    with local_lambda(*UVICORN, directory=mcp, flags=("--domain", DOMAIN)) as running:
        code, _ = ask_mcp(running, MODERN)
        assert code != 0
        running.output.wait_for("POST /mcp 421")


def test_an_mcp_server_that_names_its_domain_and_keeps_no_sessions_works_in_any_environment(mcp: Path) -> None:
    flags = ("--domain", DOMAIN, "--idle-reclaim", "600")
    variables = {"ALLOWED_HOST": DOMAIN, "STATELESS": "true"}
    with local_lambda(*UVICORN, directory=mcp, flags=flags, **variables) as running:
        # The first environment ends between the two calls.
        assert ask_mcp(running, "legacy", "/_adapter/idle?seconds=3600") == (0, "3 7")


def test_an_mcp_session_is_not_found_in_another_environment(mcp: Path) -> None:
    # The client's GET, a stream of events without an end, occupies the environment that has the session.
    with local_lambda(*UVICORN, directory=mcp, flags=("--domain", DOMAIN), ALLOWED_HOST=DOMAIN) as running:
        code, _ = ask_mcp(running, "legacy")
        assert code != 0
        running.output.wait_for("POST /mcp 404")
