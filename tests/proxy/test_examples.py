"""Both example apps, started by the proxy, respond to curl as they do without the proxy."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.apps import FRAMEWORKS, Framework, app_command, app_dir
from tests.proxy.process import ProxyProcess

CURL_SECONDS = 20


class Curl:
    """Runs curl against one proxy; a test adds flags like ``--raw``."""

    def __init__(self, port: int) -> None:
        self._base = f"http://127.0.0.1:{port}"

    def run(self, path: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        command = ["curl", "--silent", "--show-error", "--max-time", str(CURL_SECONDS), *arguments, self._base + path]
        return subprocess.run(command, capture_output=True, check=False, timeout=CURL_SECONDS + 5)

    def __call__(self, path: str, *arguments: str) -> bytes:
        """Return the body; fail if curl fails."""
        done = self.run(path, *arguments)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def head(self, path: str, *arguments: str) -> dict[str, str]:
        """Return the headers of the last response, with the status line under the empty name."""
        lines = (
            self(path, "--dump-header", "-", "--output", "/dev/null", *arguments).decode().strip().split("\r\n\r\n")[-1]
        )
        status, *fields = lines.split("\r\n")
        return {"": status} | {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in fields)
        }


@pytest.fixture(scope="module", params=FRAMEWORKS)
def curl(request: pytest.FixtureRequest) -> Iterator[Curl]:
    framework: Framework = request.param
    with ProxyProcess("--app-dir", str(app_dir(framework)), command=tuple(app_command(framework))) as proxy:
        yield Curl(proxy.port)


def test_a_request_is_echoed(curl: Curl) -> None:
    shown = json.loads(curl("/echo/a%2Fb?x=1&x=2", "--data-binary", "gr\u00fcn", "--header", "X-A: 1"))
    assert (shown["method"], shown["path"], shown["query"]) == ("POST", "/echo/a%2Fb", "x=1&x=2")
    assert base64.b64decode(shown["body"]).decode() == "gr\u00fcn"
    headers = {name.lower(): value for name, value in shown["headers"]}
    assert (headers["x-a"], headers["x-forwarded-for"]) == ("1", "127.0.0.1")


def test_streams_arrive(curl: Curl) -> None:
    lines = curl("/stream?chunks=3&interval=0.01").decode().splitlines()
    assert lines == [f"chunk {number} of 3" for number in (1, 2, 3)]
    assert curl("/sse?events=3&interval=0.01").count(b"data:") == 3


@pytest.mark.parametrize("version", ["--http1.0", "--http1.1", "--http2"])
def test_a_download_is_whole_in_each_version(curl: Curl, version: str) -> None:
    size = 1_000_000
    body = curl(f"/download?bytes={size}", version)
    assert body == (bytes(range(251)) * (size // 251 + 1))[:size]


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("--header", "Transfer-Encoding: chunked"), id="chunked"),
        pytest.param(("--header", "Expect: 100-continue"), id="continue"),
        pytest.param(("--header", "Expect:"), id="plain"),
        pytest.param(("--http1.0",), id="http-1.0"),
        pytest.param(("--http2",), id="upgrade-offered"),
    ],
)
def test_an_upload_arrives_whole(curl: Curl, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    body = bytes(range(256)) * 12_000
    (tmp_path / "body").write_bytes(body)
    shown = json.loads(curl("/upload", "--upload-file", str(tmp_path / "body"), "--request", "POST", *arguments))
    assert shown == {"length": len(body), "sha256": hashlib.sha256(body).hexdigest()}


def test_heads_and_statuses(curl: Curl) -> None:
    assert curl.head("/download?bytes=5000", "--head")["content-length"] == "5000"
    assert curl.head("/status/304")[""].startswith("HTTP/1.1 304")
    assert curl.head("/status/204")[""].startswith("HTTP/1.1 204")
    assert curl.head("/status/418")[""].startswith("HTTP/1.1 418")


def test_both_cookies_arrive(curl: Curl, tmp_path: Path) -> None:
    curl("/cookies", "--cookie-jar", str(tmp_path / "jar"))
    jar = (tmp_path / "jar").read_text()
    assert "session\tabc123" in jar
    assert "theme\tdark" in jar


def test_a_crash_in_mid_stream_is_visible(curl: Curl) -> None:
    # 18: partial file.
    assert curl.run("/crash-midstream?bytes=100000").returncode == 18
    # curl reports only 56 (failure in receiving) if a connection without framing is reset.
    assert curl.run("/crash-midstream?bytes=100000", "--http1.0").returncode == 56
    assert curl("/status/200")


def test_requests_on_one_connection(curl: Curl) -> None:
    connects = curl("/status/[200-203]", "--output", "/dev/null", "--write-out", "%{num_connects}\n").split()
    assert connects == [b"1", b"0", b"0", b"0"]
