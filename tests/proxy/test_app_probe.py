"""When an app counts as ready, asked over real sockets; the pauses between two probes are the test's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapter.config.load import load
from adapter.errors import AppNotReady
from adapter.proxy.app_probe import Readiness
from tests.scripted_app import Received, ScriptedApp, response
from tests.unused_port import unused_port


def readiness(port: int, **settings: str) -> Readiness:
    return Readiness(load({}, settings), port, has_command=True)


async def never(seconds: float) -> None:
    raise AssertionError("there was nothing to wait for")


def unexpected(line: str) -> None:
    raise AssertionError(f"there was nothing to say: {line}")


@pytest.mark.parametrize(
    ("reply", "settings", "problem"),
    [
        pytest.param(response(b""), {}, None, id="200"),
        pytest.param(response(b"", status=404), {}, None, id="404-by-default"),
        pytest.param(response(b"", status=500), {}, "GET / answered 500", id="500"),
        pytest.param(
            response(b"", status=404), {"readiness_status": "200-299"}, "GET / answered 404", id="own-statuses"
        ),
        pytest.param(b"HTTP/1.1 102 Processing\r\n\r\n" + response(b""), {}, None, id="interim"),
        pytest.param(response(b"", status=500), {"readiness_protocol": "tcp"}, None, id="tcp"),
        pytest.param(response(b"", status=500), {"readiness_path": "/up?x"}, "GET /up?x answered 500", id="path"),
    ],
)
async def test_what_the_app_answers_decides(reply: bytes, settings: dict[str, str], problem: str | None) -> None:
    with ScriptedApp(default=reply) as app:
        assert await readiness(app.port, **settings).problem() == problem


async def test_what_is_not_an_answer_is_a_problem() -> None:
    with ScriptedApp(default=b"nonsense") as app:
        assert "the response is not HTTP" in str(await readiness(app.port).problem())
    problem = str(await readiness(app.port).problem())
    assert problem.startswith("no connection to ")
    # Only the system's own text: that the app cannot be reached is said already.
    assert "([Errno " in problem


async def test_another_port_or_a_socket_may_be_asked(tmp_path: Path) -> None:
    path = str(tmp_path / "app.sock")
    with ScriptedApp() as app, ScriptedApp(path=path):
        assert await readiness(unused_port(), readiness_port=str(app.port)).problem() is None
        assert await readiness(unused_port(), app_socket=path).problem() is None
        only_the_port = readiness(unused_port(), app_socket=path, readiness_port=str(unused_port()))
        assert "no connection to" in str(await only_the_port.problem())


async def test_waiting_ends_with_the_first_good_answer() -> None:
    pauses: list[float] = []
    probes: list[str] = []
    lines: list[str] = []

    def reply(received: Received) -> None:
        probes.append(received.target)
        received.send(response(b"", status=200 if len(probes) > 30 else 503))

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    with ScriptedApp(default=reply) as app:
        await readiness(app.port).wait(60.0, pause, lines.append)
    assert len(probes) == 31
    assert all(0.002 <= pause <= 1.0 for pause in pauses)
    [line] = lines
    assert line.startswith("the app is not ready: GET / answered 503. The server on")


async def test_waiting_gives_up_with_the_last_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    # The only probe has time for an answer on any machine, although the limit has passed by then.
    monkeypatch.setattr("adapter.app.readiness._SHORTEST_TIMEOUT", 10.0)
    refusal = pytest.raises(AppNotReady, match=r"not ready after 0 s: GET / answered 503")
    with ScriptedApp(default=response(b"", status=503)) as app, refusal:
        await readiness(app.port).wait(0.0, never, unexpected)


async def test_an_app_that_is_ready_is_not_waited_for() -> None:
    with ScriptedApp() as app:
        await readiness(app.port).wait(None, never, unexpected)


@pytest.mark.parametrize(("limit", "note"), [(None, ""), (60.0, " (the limit is 60 s)")], ids=["for-ever", "bounded"])
async def test_a_wrong_answer_and_a_long_wait_are_logged_once_with_the_address_and_what_to_do(
    limit: float | None, note: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapter.app.readiness.WARN_AFTER", 0.0)
    lines: list[str] = []
    probes: list[str] = []

    def reply(received: Received) -> None:
        probes.append(received.target)
        received.send(response(b"", status=200 if len(probes) > 3 else 503))

    async def pause(seconds: float) -> None:
        """Return at once."""

    with ScriptedApp(default=reply) as app:
        await readiness(app.port).wait(limit, pause, lines.append)
        text = (
            f"GET / answered 503. The server on 127.0.0.1:{app.port} must answer this request with a healthy status; "
            "to change the path or the healthy statuses, set --readiness-path or --readiness-status "
            "(AWS_LWA_READINESS_CHECK_PATH, AWS_LWA_READINESS_CHECK_HEALTHY_STATUS)"
        )
        assert lines == [f"the app is not ready: {text}", f"the app is not ready after 0 s{note}: {text}"]
