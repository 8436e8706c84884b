"""Measures the reverse proxies, each between the fake app and the load. All run, but only one is busy at a time."""

from __future__ import annotations

import resource
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory

from compare.builds import adapter
from compare.fakes import FakeApp, Load
from compare.peers import PEERS, MissingPeer
from compare.places import CACHE
from compare.places import PEERS as PEER_PROGRAMS
from compare.process import PATIENCE, Process
from compare.samples import Row, Sample, say, take_turns

_PATH = "/text/1024"
_NGINX_CONFIG = """
daemon off; worker_processes 1; user root; pid {folder}/nginx.pid; error_log /dev/null;
worker_rlimit_nofile {most_files};
events {{ worker_connections {connections}; }}
http {{
    access_log /dev/null;
    keepalive_requests 1000000;
    client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
    uwsgi_temp_path {folder}; scgi_temp_path {folder};
    upstream app {{ server 127.0.0.1:{app}; keepalive 256; keepalive_requests 1000000; }}
    server {{
        listen 127.0.0.1:{listen};
        proxy_http_version 1.1; proxy_set_header Connection ""; proxy_read_timeout 1h;
        location / {{ proxy_pass http://app; }}
        location /events/ {{ proxy_pass http://app; proxy_buffering off; }}
    }}
}}
"""


_HAPROXY_CONFIG = """
global
    nbthread 1
    maxconn {clients}
defaults
    mode http
    timeout connect 5s
    timeout client 1h
    timeout server 1h
    http-reuse always
listen app
    bind 127.0.0.1:{listen}
    server app 127.0.0.1:{app}
"""
_CADDY_CONFIG = """
{{
    admin off
    auto_https off
}}
http://127.0.0.1:{listen} {{
    bind 127.0.0.1
    reverse_proxy 127.0.0.1:{app}
}}
"""


@dataclass(frozen=True, kw_only=True)
class Ports:
    """The ports of a proxy and of its app, and a folder for the proxy's files.

    ``connections`` is the number of connections that the proxy must allow, including those to the app.
    """

    listen: int
    app: int
    folder: Path
    connections: int = 1024

    def fill_in(self, config: str) -> str:
        """Return ``config``, the text of a configuration file, with the values filled in."""
        _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
        return config.format(
            listen=self.listen,
            app=self.app,
            folder=self.folder,
            connections=self.connections,
            # HAProxy counts only the connections of clients.
            clients=self.connections // 2,
            most_files=most_files,
        )


Start = Callable[[Ports], Process]


def _adapter(ports: Ports) -> Process:
    return Process(
        [adapter(), "run", "--listen", f"127.0.0.1:{ports.listen}"],
        {"AWS_LWA_PORT": str(ports.app)},
        log=CACHE / "proxy-adapter.log",
    )


def _aiohttp(ports: Ports) -> Process:
    program = PEER_PROGRAMS / "aiohttp_proxy.py"
    return Process(
        [PEERS["aiohttp"]().path, program, str(ports.listen), str(ports.app)], log=CACHE / "proxy-aiohttp.log"
    )


def _nginx(ports: Ports) -> Process:
    config = ports.folder / "nginx.conf"
    config.write_text(ports.fill_in(_NGINX_CONFIG))
    return Process([PEERS["nginx"]().path, "-c", config, "-p", ports.folder], log=CACHE / "proxy-nginx.log")


def _haproxy(ports: Ports) -> Process:
    config = ports.folder / "haproxy.cfg"
    config.write_text(ports.fill_in(_HAPROXY_CONFIG))
    return Process([PEERS["haproxy"]().path, "-db", "-f", config], log=CACHE / "proxy-haproxy.log")


def _caddy(ports: Ports) -> Process:
    config = ports.folder / "Caddyfile"
    config.write_text(ports.fill_in(_CADDY_CONFIG))
    command = [PEERS["caddy"]().path, "run", "--config", config, "--adapter", "caddyfile"]
    # Use one core, like the other proxies.
    variables = {"GOMAXPROCS": "1", "HOME": str(ports.folder)}
    return Process(command, variables, log=CACHE / "proxy-caddy.log")


def _mitmproxy(ports: Ports) -> Process:
    options = ["--quiet", "--listen-host", "127.0.0.1", "--listen-port", str(ports.listen)]
    where = ["--mode", f"reverse:http://127.0.0.1:{ports.app}", "--set", f"confdir={ports.folder}"]
    return Process([PEERS["mitmproxy"]().path, *options, *where], log=CACHE / "proxy-mitmproxy.log")


def _proxy_py(ports: Ports) -> Process:
    options = [
        "--hostname",
        "127.0.0.1",
        "--port",
        str(ports.listen),
        "--num-workers",
        "1",
        "--num-acceptors",
        "1",
        "--threaded",
    ]
    plugin = ["--enable-reverse-proxy", "--plugins", "proxy_py_routes.Everything", "--log-level", "ERROR"]
    variables = {"APP_PORT": str(ports.app), "PYTHONPATH": str(PEER_PROGRAMS), "HOME": str(ports.folder)}
    return Process([PEERS["proxy.py"]().path, *options, *plugin], variables, log=CACHE / "proxy-proxy.py.log")


PROXIES: dict[str, Start] = {
    "adapter": _adapter,
    "aiohttp": _aiohttp,
    "nginx": _nginx,
    "haproxy": _haproxy,
    "caddy": _caddy,
    "mitmproxy": _mitmproxy,
    "proxy.py": _proxy_py,
}


class Candidate:
    """A running proxy. Its processes end with ``stack``."""

    def __init__(self, name: str, *, clients: int, count: int, stack: ExitStack) -> None:
        self.name = name
        self._count = count
        folder = Path(stack.enter_context(TemporaryDirectory(dir=CACHE)))
        app = stack.enter_context(FakeApp())
        ports = Ports(listen=free_port(), app=app.port, folder=folder)
        self._process = stack.enter_context(PROXIES[name](ports))
        wait_for_answer(ports.listen, self._process)
        self._load = Load(ports.listen, clients=clients, path=_PATH)
        stack.enter_context(self._load)
        self._load.run(clients * 2, self._process)

    def sample(self) -> Sample:
        """Send the requests of one sample."""
        self._load.run(max(1, self._count // 20), self._process)
        before = self._process.cpu_ns()
        measured = self._load.run(self._count, self._process)
        cpu = self._process.cpu_ns() - before
        if measured["bytes"] != self._count * 1024:
            raise RuntimeError(f"{self.name}: {measured['bytes']} bytes of {self._count * 1024} came")
        return {
            "cpu_us": cpu / self._count / 1000,
            "per_second": self._count / measured["wall_ns"] * 1e9,
            "p50_us": measured["p50_ns"] / 1000,
            "p99_us": measured["p99_ns"] / 1000,
            "memory_mb": self._process.peak_memory() / 1e6,
            "fakes_busy": measured["peer_cpu_ns"] / measured["wall_ns"],
        }


def wait_for_port(port: int, process: Process) -> None:
    """Return once ``process`` listens on ``port``. Raises RuntimeError."""
    _wait(lambda: socket.create_connection(("127.0.0.1", port)).close(), port, process)


def wait_for_answer(port: int, process: Process) -> None:
    """Return once ``process`` answers on ``port`` and its app is ready (no 503). Raises RuntimeError."""

    def ask() -> None:
        with closing(HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as connection:
            connection.request("GET", _PATH)
            status = connection.getresponse().status
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            raise ConnectionError("not ready")

    _wait(ask, port, process)


def _wait(attempt: Callable[[], None], port: int, process: Process) -> None:
    give_up = time.monotonic() + PATIENCE
    while time.monotonic() < give_up and not process.ended:
        try:
            return attempt()
        except OSError:
            time.sleep(0.01)
    raise RuntimeError(f"nothing answers on port {port}: {process.last_words()}")


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@dataclass(frozen=True, kw_only=True)
class ProxyRow:
    """A row with ``clients`` clients at the same time. A sample has ``count`` requests."""

    name: str
    clients: int
    count: int
    quick: int = 0


PROXY_ROWS = (
    ProxyRow(name="proxy-1", clients=1, count=600, quick=600),
    ProxyRow(name="proxy-32", clients=32, count=1500, quick=1500),
    ProxyRow(name="proxy-256", clients=256, count=2000),
)


def measure(row: ProxyRow, *, rounds: int, quick: bool, only: tuple[str, ...] | None) -> Row:
    """Measure ``row``, and return its samples."""
    title = f"proxy, 1 KB, {row.clients} client{'s' if row.clients > 1 else ''}"
    say(f"{row.name}: {title}")
    missing: dict[str, str] = {}
    candidates: list[Candidate] = []
    with ExitStack() as stack:
        for name in PROXIES:
            if only is not None and name not in only:
                continue
            try:
                count = row.quick if quick else row.count
                candidates.append(Candidate(name, clients=row.clients, count=count, stack=stack))
            except (MissingPeer, RuntimeError) as error:
                missing[name] = str(error)
                say(f"  {name} is missing: {error}")
        samples = take_turns(candidates, rounds)
    return Row(name=row.name, title=title, samples=samples, missing=missing)
