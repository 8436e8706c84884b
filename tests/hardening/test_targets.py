"""Request targets: the authority is fixed whatever the path says, and the raw path arrives as it was sent."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.hardening.dev_process import DOORS, DevProcess
from tests.hardening.recorder import PROBE, Recorder
from tests.hardening.test_identity import FORMATS, EventOf, http_api
from tests.proxy.process import ProxyProcess
from tests.raw_client import ask
from tests.runtime_process import RuntimeProcess
from tests.scripted_runtime_api import ScriptedRuntimeApi

# Paths that must arrive exactly as they were sent.
RAW = [
    "//evil.example/x",
    "///x",
    "/\\evil.example",
    "/../../etc/passwd",
    "/a/./b/../c",
    "/a%2fb",
    "/a%2Fb%2e%2e",
    "/%",
    "/%zz",
    "/%00",
    "/%0d%0aX:%20y",
    "/a//b/",
    "/;x=1/@b:80",
    "/http://evil.example/",
    "/*",
    '/"<>^`{|}',
]


def sent(target: str, method: str = "GET") -> bytes:
    return f"{method} {target} HTTP/1.1\r\nHost: app.example\r\n\r\n".encode()


@pytest.mark.parametrize("target", RAW)
async def test_the_proxy_preserves_the_raw_path(app: Recorder, proxy: ProxyProcess, target: str) -> None:
    assert (await ask(proxy.port, sent(target))).status == 200
    assert [(each.target, each.all("host")) for each in app.requests] == [(target, ["app.example"])]


# What reaches the app otherwise. A REST API writes one slash at the start. An HTTP API decodes paths, and refuses those
# that it cannot decode (None). In its format, which function URLs share, a "%" without two digits is encoded.
LEGAL = {"/%": "/%25", "/%zz": "/%25zz"}
CHANGED: dict[str, dict[str, str | None]] = {
    "rest-api": {"//evil.example/x": "/evil.example/x", "///x": "/x", "//x": "/x"},
    "function-url": {**LEGAL},
    "http-api": {
        **dict.fromkeys(LEGAL),
        "/a%2fb": "/a/b",
        "/a%2Fb%2e%2e": "/a/b..",
        "/%0d%0aX:%20y": "/%0D%0AX:%20y",
    },
}


@pytest.mark.parametrize("target", RAW)
@pytest.mark.parametrize("door", DOORS)
async def test_a_raw_path_is_preserved_as_far_as_the_front_door_does(
    app: Recorder, dev: DevProcess, door: str, target: str
) -> None:
    arrives = CHANGED.get(door, {}).get(target, target)
    answer = await ask(dev.ports[door], sent(target))
    assert answer.status == (400 if arrives is None else 200)
    expected = [] if arrives is None else [(arrives, ["app.example"])]
    assert [(each.target, each.all("host")) for each in app.requests] == expected
    assert app.violations == []


# An HTTP API decodes the path twice, and cuts it at a "?" in between. The app receives one legal target all the same.
DECODED = [
    pytest.param("/a%3Fb?x=1", "/a?x=1", id="question-mark"),
    pytest.param("/a%253Fb?x=1", "/a%3Fb?x=1", id="question-mark-encoded-twice"),
    pytest.param("/a%23b?x=1", "/a%23b?x=1", id="hash"),
    pytest.param("/a%0d%0aX:%20y", "/a%0D%0AX:%20y", id="header"),
    pytest.param("/a%20HTTP/1.1%0D%0A%0D%0AGET%20/b", "/a%20HTTP/1.1%0D%0A%0D%0AGET%20/b", id="second-request"),
    pytest.param("/a%00b", "/a%00b", id="nul"),
    pytest.param("/a%252Fb", "/a/b", id="slash-encoded-twice"),
    pytest.param("/%2Fevil.example/x", "//evil.example/x", id="two-slashes"),
    pytest.param("/100%2525", "/100%25", id="percent-alone"),
    pytest.param("/%C3%A9%20%FF", "/%C3%A9%20%EF%BF%BD", id="beyond-ascii"),
]


@pytest.mark.parametrize(("target", "arrives"), DECODED)
async def test_a_path_that_an_http_api_decodes_begins_nothing_new(
    app: Recorder, dev: DevProcess, target: str, arrives: str
) -> None:
    assert (await ask(dev.ports["http-api"], sent(target))).status == 200
    assert [(each.target, each.all("host"), each.all("x")) for each in app.requests] == [(arrives, ["app.example"], [])]
    assert app.violations == []


ABSOLUTE = [
    pytest.param("http://other.example/x?y=1", "/x?y=1", id="path-and-query"),
    pytest.param("HTTP://other.example:8080", "/", id="no-path"),
    pytest.param("http://other.example?y=1", "/?y=1", id="query-alone"),
    pytest.param("https://other.example//x", "//x", id="https"),
]


@pytest.mark.parametrize(("target", "path"), ABSOLUTE)
async def test_an_absolute_form_leads_to_the_app_alone(
    app: Recorder, proxy: ProxyProcess, dev: DevProcess, target: str, path: str
) -> None:
    for door, port in {"proxy": proxy.port, **dev.ports}.items():
        app.requests.clear()
        assert (await ask(port, sent(target))).status == 200
        assert [each.target for each in app.requests] == [CHANGED.get(door, {}).get(path, path)]
        assert "evil" not in str(app.requests)


REFUSED = [
    pytest.param("/a b", "GET", {400}, id="space"),
    pytest.param("/a#b", "GET", {400}, id="fragment"),
    pytest.param("/\x7f", "GET", {400}, id="delete"),
    pytest.param("/é", "GET", {400}, id="not-ascii"),
    pytest.param("*", "GET", {400}, id="asterisk"),
    pytest.param("evil.example:443", "CONNECT", {400, 405}, id="connect"),
    pytest.param("ftp://evil.example/", "GET", {400}, id="ftp"),
    pytest.param("http:///x", "GET", {400}, id="no-authority"),
    pytest.param("http://user:secret@evil.example/", "GET", {400}, id="credentials"),
]


@pytest.mark.parametrize(("target", "method", "statuses"), REFUSED)
async def test_what_is_no_target_is_refused_at_every_door(
    app: Recorder, proxy: ProxyProcess, dev: DevProcess, target: str, method: str, statuses: set[int]
) -> None:
    for port in (proxy.port, *dev.ports.values()):
        answer = await ask(port, sent(target, method))
        assert answer.status in statuses
        assert b"secret" not in answer.body
    assert app.requests == []


IN_EVENTS = [
    *((target, target) for target in RAW),
    ("http://evil.example/x", "/http://evil.example/x"),
    ("evil.example:443", "/evil.example:443"),
    ("/a b\r\nX: y", "/a%20b%0D%0AX:%20y"),
    ("/é\x7f\0#x", "/%C3%A9%7F%00%23x"),
    ("*", "/*"),
    ("", "/"),
]


@pytest.fixture(scope="module")
def runtime(shared_app: Recorder) -> Iterator[ScriptedRuntimeApi]:
    environ = {"AWS_LWA_PORT": str(shared_app.port), "AWS_LWA_READINESS_CHECK_PATH": PROBE}
    with ScriptedRuntimeApi() as api, RuntimeProcess(api, environ=environ):
        yield api


@pytest.mark.parametrize("event_of", FORMATS)
def test_an_events_path_is_a_path_whatever_it_looks_like(
    app: Recorder, runtime: ScriptedRuntimeApi, event_of: EventOf
) -> None:
    for path, target in IN_EVENTS:
        app.requests.clear()
        runtime.invoke(event_of(path, [("host", "app.example")])).answer()
        arrives = LEGAL.get(target, target) if event_of is http_api else target
        assert [(each.target, each.all("host")) for each in app.requests] == [(arrives, ["app.example"])]
    assert app.violations == []


def test_connect_in_an_event_is_refused(app: Recorder, runtime: ScriptedRuntimeApi) -> None:
    event = {"httpMethod": "CONNECT", "path": "/x", "requestContext": {"stage": "prod"}}
    error = runtime.invoke(event).error()
    assert error.json()["errorType"] == "Adapter.InvalidEvent"
    assert app.requests == []
