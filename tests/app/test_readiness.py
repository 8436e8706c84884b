"""The readiness specification: what is probed, and what happens after each probe. The clock is an argument."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from adapter.app.readiness import PROBE_TIMEOUT, WARN_AFTER, ReadinessCheck, ReadinessWait
from adapter.config.load import load
from adapter.errors import AppNotReady
from adapter.net.address import Address
from tests.unused_port import unused_port

# A time of a monotonic clock.
BEGUN = 1000.0
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="listeners are found in /proc")


def check_of(flags: dict[str, str] | None = None, *, has_command: bool = False) -> ReadinessCheck:
    return ReadinessCheck(load({}, flags), 8080, has_command=has_command)


def probe(wait: ReadinessWait, problem: str, *, at: float, took: float = 0.0) -> float:
    """Run a probe that ends ``at`` seconds after the beginning. Return the pause after it."""
    wait.begin_probe(BEGUN + at - took)
    return wait.end_probe(problem, BEGUN + at)


ADDRESSES = [
    pytest.param({}, "127.0.0.1:8080 or [::1]:8080", id="the-apps-port"),
    pytest.param({"app_host": "127.0.0.1"}, "127.0.0.1:8080", id="own-host"),
    pytest.param({"readiness_port": "9090"}, "127.0.0.1:9090 or [::1]:9090", id="own-port"),
    pytest.param({"app_socket": "/s"}, "unix:/s", id="socket"),
    pytest.param(
        {"app_socket": "/s", "readiness_port": "9090"}, "127.0.0.1:9090 or [::1]:9090", id="own-port-beside-a-socket"
    ),
]


@pytest.mark.parametrize(("flags", "address"), ADDRESSES)
def test_the_apps_address_is_probed_unless_the_probe_has_a_port_of_its_own(flags: dict[str, str], address: str) -> None:
    assert str(check_of(flags).address) == address


def test_a_probe_over_http_is_a_get_that_ends_its_connection() -> None:
    request = check_of({"readiness_path": "/up?x"}).request
    assert request is not None
    assert (request.method, request.target, request.headers) == ("GET", "/up?x", [("connection", "close")])


def test_a_probe_over_tcp_has_no_request_and_every_answer_is_fine() -> None:
    check = check_of({"readiness_protocol": "tcp"})
    assert check.request is None
    assert check.problem_of(500) is None


@pytest.mark.parametrize(("status", "problem"), [(200, None), (404, None), (500, "GET /up answered 500")])
def test_the_status_of_the_answer_decides(status: int, problem: str | None) -> None:
    assert check_of({"readiness_path": "/up"}).problem_of(status) == problem


WAYS_OUT = [
    pytest.param(True, "GET / answered 500", "must answer this request with a healthy status", id="unhealthy"),
    pytest.param(True, "no connection", "write {port} in CMD instead of a port, or set", id="cmd"),
    pytest.param(
        False,
        "no connection",
        "The app must listen on 127.0.0.1:8080 or [::1]:8080; start the app there, or set",
        id="no-cmd",
    ),
]


@pytest.mark.parametrize(("has_command", "problem", "way_out"), WAYS_OUT)
def test_a_problem_is_reported_with_a_way_out(has_command: bool, problem: str, way_out: str) -> None:
    text = check_of(has_command=has_command).unready_text(problem)
    assert text.startswith(f"{problem}. ")
    assert way_out in text


TIMEOUTS = [
    pytest.param(None, 1e6, PROBE_TIMEOUT, id="no-limit"),
    pytest.param(60.0, 0.0, PROBE_TIMEOUT, id="far-from-the-limit"),
    pytest.param(60.0, 58.0, 2.0, id="near-the-limit"),
    pytest.param(60.0, 60.0, 0.01, id="at-the-limit"),
]


@pytest.mark.parametrize(("limit", "at", "timeout"), TIMEOUTS)
def test_a_probe_does_not_outlast_the_limit(limit: float | None, at: float, timeout: float) -> None:
    assert ReadinessWait(check_of(), limit, BEGUN).begin_probe(BEGUN + at) == pytest.approx(timeout)


PAUSES = [
    pytest.param(0.0, 0.0, 0.002, id="shortest"),
    pytest.param(4.0, 0.0, 0.02, id="a-part-of-the-time"),
    pytest.param(100.0, 0.0, 0.05, id="longest"),
    pytest.param(0.1, 0.001, 0.02, id="in-proportion-to-the-probe"),
    pytest.param(1.0, 1.0, 0.05, id="slow-probe"),
]


@pytest.mark.parametrize(("at", "took", "pause"), PAUSES)
def test_the_pause_grows_with_the_time_and_with_the_duration_of_the_probe(at: float, took: float, pause: float) -> None:
    wait = ReadinessWait(check_of(), None, BEGUN)
    assert probe(wait, "no connection", at=at, took=took) == pytest.approx(pause)


@pytest.mark.parametrize(("since", "pause"), [(0.0, 0.002), (1.0, 0.1), (5.0, 0.5), (10.0, 1.0), (60.0, 1.0)])
def test_the_pause_after_a_wrong_answer_is_a_tenth_of_the_time_since_the_first(since: float, pause: float) -> None:
    wait = ReadinessWait(check_of(), 120.0, BEGUN)
    probe(wait, "no connection", at=2.0)
    assert probe(wait, "GET / answered 500", at=3.0) == pytest.approx(0.002)
    assert probe(wait, "GET / answered 500", at=3.0 + since, took=1.0) == pytest.approx(pause)
    assert probe(wait, "no connection", at=3.0 + since) == pytest.approx(min(0.05, (3.0 + since) / 200))


def test_an_app_that_answers_wrongly_for_five_seconds_is_asked_less_than_a_hundred_times() -> None:
    wait = ReadinessWait(check_of(), 120.0, BEGUN)
    at, probes = 0.0, 0
    while at < 5.0:
        at += probe(wait, "GET / answered 500", at=at) + 0.0005
        probes += 1
    assert 20 < probes < 100


def test_a_pause_after_wrong_answers_does_not_end_the_wait_before_the_limit() -> None:
    wait = ReadinessWait(check_of(), 30.0, BEGUN)
    probe(wait, "GET / answered 500", at=1.0)
    assert probe(wait, "GET / answered 500", at=29.5) == pytest.approx(0.45)
    assert probe(wait, "GET / answered 500", at=29.95) == pytest.approx(0.002)


def test_a_wrong_answer_is_logged_at_once_and_when_it_changes() -> None:
    wait = ReadinessWait(check_of(), None, BEGUN)
    lines = []
    for at, status in ((0.1, 500), (0.2, 500), (0.3, 503), (0.4, 503), (0.5, 500)):
        probe(wait, f"GET / answered {status}", at=at)
        lines.append(wait.warning)
    assert lines[0].startswith("the app is not ready: GET / answered 500. The server on 127.0.0.1:8080 must answer")
    assert lines[1:] == ["", "the app is not ready: GET / answered 503", "", "the app is not ready: GET / answered 500"]


def test_a_broken_connection_is_a_wrong_answer_only_if_the_next_one_breaks_too() -> None:
    """A server that ends breaks its connections: Gunicorn, if it cannot import the app."""
    wait = ReadinessWait(check_of(), None, BEGUN)
    lines = []
    broken = "127.0.0.1:8080 did not answer with HTTP (reset)"
    for problem in (broken, "no connection", broken, broken, broken):
        probe(wait, problem, at=0.5)
        lines.append(wait.warning)
    assert [line.partition(" (reset)")[0] for line in lines] == [
        *("", "", ""),
        "the app is not ready: 127.0.0.1:8080 did not answer with HTTP",
        "",
    ]


def test_the_wait_ends_if_the_next_probe_would_begin_after_the_limit() -> None:
    wait = ReadinessWait(check_of(), 1.0, BEGUN)
    assert probe(wait, "no connection", at=0.99) == pytest.approx(0.00495)
    with pytest.raises(AppNotReady, match=r"^the app was not ready after 1 s: no connection\. The app must"):
        probe(wait, "no connection", at=0.996)


def test_the_error_has_the_problem_of_the_last_whole_probe() -> None:
    wait = ReadinessWait(check_of(), 1.0, BEGUN)
    probe(wait, "GET / answered 503", at=0.5)
    with pytest.raises(AppNotReady, match="GET / answered 503"):
        probe(wait, "no answer within 0.5 s", at=1.0, took=0.5)


def test_the_problem_of_the_only_probe_is_reported_although_the_limit_cut_it_short() -> None:
    with pytest.raises(AppNotReady, match="no answer within 1 s"):
        probe(ReadinessWait(check_of(), 1.0, BEGUN), "no answer within 1 s", at=1.0, took=1.0)


@pytest.mark.parametrize(("limit", "note"), [(None, ""), (60.0, " (the limit is 60 s)")], ids=["no-limit", "limit"])
def test_a_long_wait_has_one_warning(limit: float | None, note: str) -> None:
    wait = ReadinessWait(check_of(), limit, BEGUN)
    warnings = []
    for at in (1.0, WARN_AFTER, WARN_AFTER + 1):
        probe(wait, "no connection", at=at)
        warnings.append(wait.warning)
    assert warnings[::2] == ["", ""]
    assert warnings[1].startswith(f"the app is not ready after 4 s{note}: no connection. ")


def test_the_other_address_is_tried_in_the_first_probe_and_in_every_eighth() -> None:
    wait = ReadinessWait(check_of(), None, BEGUN)
    tried = []
    for _ in range(17):
        probe(wait, "no connection", at=0.1)
        tried.append(wait.tries_other)
    assert [index for index, tries_other in enumerate(tried) if tries_other] == [0, 8, 16]


# A program that listens on the port in its first argument, or any, writes it, and runs until its stdin is closed.
LISTENER = """import socket, sys
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print(listener.getsockname()[1], flush=True)
sys.stdin.read()
"""


@contextmanager
def listening(port: int = 0, *, through: tuple[str, ...] = ()) -> Iterator[tuple[int, int]]:
    """Run LISTENER in a process group, or ``through`` another program in one: the leader's pid, and the port."""
    with subprocess.Popen(
        [*through, sys.executable, "-c", LISTENER, str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        process_group=0,
    ) as process:
        assert process.stdout is not None
        yield process.pid, int(process.stdout.readline())
        process.communicate()


def text_of(check: ReadinessCheck) -> str:
    return check.unready_text(check.no_connection("refused")).partition("(refused). ")[2]


@on_linux
@pytest.mark.parametrize("through", [(), ("sh", "-c", '"$@"; true', "sh")], ids=["itself", "a-child-of-a-shell"])
def test_an_app_that_listens_on_another_port_is_found_there(through: tuple[str, ...]) -> None:
    with listening(through=through) as (pid, port):
        check = check_of(has_command=True)
        check.watch(pid, ["serve"])
        assert text_of(check) == f"The app listens on {port}; set --app-port {port} (AWS_LWA_PORT)"
        check.watch(pid, ["serve", "--port", "8080"])
        assert text_of(check) == (
            f"The app listens on {port}, but CMD names 8080; correct the option in CMD that sets the port, or "
            f"set --app-port {port} (AWS_LWA_PORT)"
        )


@on_linux
def test_a_listener_of_another_process_is_not_the_app() -> None:
    with listening() as (_, port), listening() as (pid, own):
        check = check_of(has_command=True)
        check.watch(pid, ["serve"])
        assert str(port) not in text_of(check)
        assert str(own) in text_of(check)


def test_a_command_that_names_its_port_is_not_advised_to_name_it() -> None:
    check = check_of(has_command=True)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        check.watch(process.pid, ["serve", "--bind=127.0.0.1:8080"])
        assert text_of(check).endswith(
            "must listen on 127.0.0.1:8080 or [::1]:8080, since CMD names this port; the app does not listen on any "
            "port yet"
        )
        process.kill()


def test_an_app_that_gets_a_free_port_is_advised_to_read_it() -> None:
    check = check_of({"app_port": "0"}, has_command=True)
    assert text_of(check).endswith(
        "since its variable PORT names this port; if the app does not read PORT, write {port} in CMD"
    )


@on_linux
def test_an_app_that_listens_elsewhere_is_reported_after_a_second() -> None:
    with listening() as (pid, port):
        check = check_of(has_command=True)
        check.watch(pid, ["serve"])
        wait = ReadinessWait(check, None, BEGUN)
        problem = check.no_connection("refused")
        lines = []
        for at in (0.9, 1.0, 1.1, 4.0):
            probe(wait, problem, at=at)
            lines.append(wait.warning)
        assert lines == [
            "",
            f"the app is not ready: {problem}. The app listens on {port}; set --app-port {port} (AWS_LWA_PORT)",
            "",
            "",
        ]


@on_linux
def test_an_app_that_begins_to_listen_later_is_reported_then() -> None:
    check = check_of(has_command=True)
    wait = ReadinessWait(check, None, BEGUN)
    problem = check.no_connection("refused")
    with listening() as (pid, port):
        probe(wait, problem, at=1.0)
        assert wait.warning == ""
        check.watch(pid, ["serve"])
        probe(wait, problem, at=1.9)
        assert wait.warning == ""
        probe(wait, problem, at=2.0)
        assert f"The app listens on {port}; set --app-port {port}" in wait.warning


@on_linux
def test_with_auto_the_probes_follow_the_app_to_its_port() -> None:
    check = ReadinessCheck(load({"ADAPTER_DEV_APP_STATUS": "true"}, {"app_port": "auto"}), 8080, has_command=True)
    with listening() as (pid, port):
        check.watch(pid, ["serve"])
        wait = ReadinessWait(check, None, BEGUN)
        probe(wait, check.no_connection("refused"), at=0.05)
        assert (wait.warning, check.address.current.port) == ("", 8080)
        probe(wait, check.no_connection("refused"), at=0.1)
        assert wait.warning == f"the app listens on 127.0.0.1:{port} (--app-port auto)"
        assert str(check.address) == f"127.0.0.1:{port}"


@on_linux
@pytest.mark.parametrize("through", [(), ("sh", "-c", '"$@"; true', "sh")], ids=["itself", "a-child-of-a-shell"])
def test_the_answer_of_the_app_itself_is_not_foreign(through: tuple[str, ...]) -> None:
    with listening(through=through) as (pid, port):
        check = ReadinessCheck(load({}), port, has_command=True)
        check.watch(pid, ["serve"])
        assert check.foreign_answer() is None


@on_linux
def test_an_answer_of_another_process_than_the_app_is_a_problem_that_names_it() -> None:
    # The listener is a child of this process, so the check must be made by another one.
    code = (
        "import sys; from adapter.app.readiness import ReadinessCheck; from adapter.config.load import load; "
        "check = ReadinessCheck(load({}), int(sys.argv[1]), has_command=True); check.watch(int(sys.argv[2]), []); "
        "print(check.foreign_answer(), end='')"
    )

    def foreign_answer(port: int, app: int) -> str:
        words = [sys.executable, "-c", code, str(port), str(app)]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout

    with listening() as (foreign, port), listening() as (app, own):
        answer = foreign_answer(port, app)
        assert answer.startswith(f"127.0.0.1:{port} is used by another process, not by the app: pid {foreign} (")
        assert "End that process, or give the app another port" in check_of(has_command=True).unready_text(answer)
        assert foreign_answer(own, app) == "None"


def test_an_unknown_owner_and_lambda_are_fine() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        on_lambda = ReadinessCheck(load({"AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9"}), port, has_command=True)
        on_lambda.watch(1, [])
        assert on_lambda.foreign_answer() is None
    closed = ReadinessCheck(load({}), port, has_command=True)
    closed.watch(1, [])
    assert closed.foreign_answer() is None


@on_linux
@pytest.mark.parametrize(("flags", "host"), [({}, "127.0.0.2"), ({"app_host": "127.0.0.1"}, "::1")])
def test_a_listener_at_another_address_is_named_with_the_option_for_it(flags: dict[str, str], host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, unused_port()), family=family) as listener:
        port = listener.getsockname()[1]
        check = ReadinessCheck(load({}, flags), port, has_command=True)
        text = check.unready_text(check.no_connection("refused"))
    text = text.removeprefix(f"no connection to {check.address} (refused). ")
    address = Address(host=host, port=port)
    assert text == f"A process listens on {address}. If it is the app, set --app-host {host} (AWS_LWA_HOST)"


@on_linux
def test_a_listener_that_began_after_the_probe_is_not_elsewhere() -> None:
    with socket.create_server(("0.0.0.0", 0)) as listener:
        check = ReadinessCheck(load({}), listener.getsockname()[1], has_command=False)
        assert "The app must listen on 127.0.0.1:" in check.unready_text(check.no_connection("refused"))
