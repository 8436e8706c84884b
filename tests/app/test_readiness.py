"""The readiness specification: what is probed, and what happens after each probe. No I/O and no clock."""

from __future__ import annotations

import socket
import sys

import pytest

from adapter.app.readiness import PROBE_TIMEOUT, WARN_AFTER, ReadinessCheck, ReadinessWait
from adapter.config.load import load
from adapter.errors import AppNotReady
from adapter.net.address import Address

# A time of a monotonic clock.
BEGUN = 1000.0


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
        "The app must listen on 127.0.0.1:8080 or [::1]:8080; start it there, or set",
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
    pytest.param(0.1, 0.001, 0.02, id="in-proportion-to-the-answer"),
    pytest.param(1.0, 1.0, 0.05, id="slow-answer"),
]


@pytest.mark.parametrize(("at", "took", "pause"), PAUSES)
def test_the_pause_grows_with_the_time_and_with_the_duration_of_the_probe(at: float, took: float, pause: float) -> None:
    assert probe(ReadinessWait(check_of(), None, BEGUN), "x", at=at, took=took) == pytest.approx(pause)


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


@pytest.mark.skipif(sys.platform != "linux", reason="listeners are found in /proc")
@pytest.mark.parametrize(("flags", "host"), [({}, "127.0.0.2"), ({"app_host": "127.0.0.1"}, "::1")])
def test_a_listener_at_another_address_is_named_with_the_option_for_it(flags: dict[str, str], host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as listener:
        port = listener.getsockname()[1]
        check = ReadinessCheck(load({}, flags), port, has_command=True)
        text = check.unready_text(check.no_connection("refused"))
    text = text.removeprefix(f"no connection to {check.address} (refused). ")
    address = Address(host=host, port=port)
    assert text == f"A process listens on {address}. If it is the app, set --app-host {host} (AWS_LWA_HOST)"


@pytest.mark.skipif(sys.platform != "linux", reason="listeners are found in /proc")
def test_a_listener_that_began_after_the_probe_is_not_elsewhere() -> None:
    with socket.create_server(("0.0.0.0", 0)) as listener:
        check = ReadinessCheck(load({}), listener.getsockname()[1], has_command=False)
        assert "The app must listen on 127.0.0.1:" in check.unready_text(check.no_connection("refused"))
