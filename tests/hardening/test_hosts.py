"""Host at every door and in every event: one, and a host with an optional port, or the request is refused."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.hardening.dev_process import DOORS, DevProcess
from tests.hardening.recorder import PROBE, Recorder
from tests.hardening.test_identity import FORMATS, EventOf
from tests.proxy.process import ProxyProcess
from tests.raw_client import RawAnswer, ask, raw_client
from tests.runtime_process import RuntimeProcess
from tests.scripted_runtime_api import ScriptedRuntimeApi

# What no Host is (RFC 9110 section 7.2, RFC 3986 section 3.2.2).
INVALID = [
    *(b"a b", b"a\tb", b"a/b", b"/a", b"a?b", b"a#b", b"a\\b", b"user@a", b"user:secret@a", b"@a", b"http://a", b"a//"),
    *(b"a:b", b"a:80:80", b"a:-1", b"a:+1", b"a: 80", b"a:8 0", b"a:65536", b"a:99999", b"a:0x50", b":80"),
    *(b"[::1", b"::1", b"[::1]80", b"[::1]:x", b"[]", b"[a]", b"[127.0.0.1]", b"[::1%25eth0]", b"[::1%eth0]", b"a]"),
    *(b"a" * 300, b"%41" * 100, b'"a"', b"<a>", b"a|b", b"a^b", b"a`b", b"{a}", b"%", b"a%2", b"a%zz", b"a%2g.example"),
    *(b"caf\xe9", b"caf\xc3\xa9", b"a\xa0", b"\xef\xbb\xbfa", b"a:\xd9\xa3", b"a\xff"),
]
VALID = [
    *(b"app.example", b"APP.example:8080", b"app.example:", b"a:0", b"a:65535", b"127.0.0.1:1", b"[::1]", b"[::1]:80"),
    *(b"[::ffff:127.0.0.1]:", b"a_b.example", b"xn--caf-dma.example", b"a~b", b"a!$&'()*+,;=b", b"a%41", b"a."),
]


@pytest.fixture
def ports(proxy: ProxyProcess, admin: int, dev: DevProcess) -> list[int]:
    """Return every port that takes HTTP."""
    return [proxy.port, admin, dev.invoke_port, *dev.ports.values()]


async def refusal(port: int, payload: bytes) -> RawAnswer:
    """Return the answer to ``payload``, which must be 400 and the last one on its connection."""
    async with raw_client(port) as client:
        await client.send(payload + b"GET /behind HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = await client.answer()
        assert (answer.status, answer.headers.get("connection")) == (400, "close"), (port, payload)
        assert await client.rest() == b""
    return answer


@pytest.mark.parametrize("host", INVALID)
async def test_what_is_no_host_is_refused_everywhere(app: Recorder, ports: list[int], host: bytes) -> None:
    for port in ports:
        for version in (b"1.1", b"1.0"):
            answer = await refusal(port, b"GET /healthz HTTP/%b\r\nHost: %b\r\n\r\n" % (version, host))
            assert b"secret" not in answer.body
    assert app.requests == []


@pytest.mark.parametrize(
    "hosts",
    [
        pytest.param(b"", id="none"),
        pytest.param(b"Host: a\r\nHost: b\r\n", id="two"),
        pytest.param(b"Host: a\r\nhost: a\r\n", id="two-equal-ones"),
        pytest.param(b"Host:\r\nHost: a\r\n", id="empty-and-another"),
        pytest.param(b"Host : a\r\n", id="space-before-the-colon"),
        pytest.param(b"Host: a\r\n b\r\n", id="folded"),
    ],
)
async def test_a_request_has_exactly_one_host(app: Recorder, ports: list[int], hosts: bytes) -> None:
    for port in ports:
        await refusal(port, b"GET /healthz HTTP/1.1\r\n%b\r\n" % hosts)
        # An absolute target does not make up for it.
        await refusal(port, b"GET http://a/healthz HTTP/1.1\r\n%b\r\n" % hosts)
    assert app.requests == []


@pytest.mark.parametrize("host", VALID)
async def test_every_host_arrives_as_it_was_sent(
    app: Recorder, proxy: ProxyProcess, dev: DevProcess, host: bytes
) -> None:
    for port in (proxy.port, *dev.ports.values()):
        assert (await ask(port, b"GET /x HTTP/1.1\r\nHost: %b\r\n\r\n" % host)).status == 200
    assert {value.encode() for recorded in app.requests for value in recorded.all("host")} == {host}
    assert len(app.requests) == 1 + len(DOORS)


async def test_an_empty_host_stays_empty(app: Recorder, proxy: ProxyProcess, dev: DevProcess) -> None:
    for port in (proxy.port, *dev.ports.values()):
        assert (await ask(port, b"GET /x HTTP/1.1\r\nHost: \r\n\r\n")).status == 200
        # Only the target names a host if it is a URL, whatever Host says.
        assert (await ask(port, b"GET http://b:1/y HTTP/1.1\r\nHost:\r\n\r\n")).status == 200
    assert [(recorded.target, recorded.all("host")) for recorded in app.requests] == [("/x", [""]), ("/y", ["b:1"])] * (
        1 + len(DOORS)
    )


async def test_the_host_of_a_url_replaces_the_header(app: Recorder, proxy: ProxyProcess, dev: DevProcess) -> None:
    for port in (proxy.port, *dev.ports.values()):
        for version in (b"1.1", b"1.0"):
            payload = b"GET http://b.example:81/x HTTP/%b\r\nX: 1\r\nHost: a.example\r\n\r\n" % version
            assert (await ask(port, payload)).status == 200
        assert (await ask(port, b"GET http://b.example:81/x HTTP/1.0\r\n\r\n")).status == 200
    assert [recorded.all("host") for recorded in app.requests] == [["b.example:81"]] * 3 * (1 + len(DOORS))
    assert "a.example" not in str(app.requests)


@pytest.mark.parametrize("authority", [each for each in INVALID if not {*b"/?# \t"} & {*each}])
async def test_a_url_names_a_host_like_that_of_the_header(
    app: Recorder, proxy: ProxyProcess, dev: DevProcess, authority: bytes
) -> None:
    for port in (proxy.port, *dev.ports.values()):
        answer = await ask(port, b"GET http://%b/x HTTP/1.1\r\nHost: a\r\n\r\n" % authority)
        assert answer.status == 400
        assert b"secret" not in answer.body
    assert app.requests == []


async def test_a_url_is_no_way_past_the_guard_of_the_invoke_port(app: Recorder, dev: DevProcess) -> None:
    payload = b"GET http://evil.example/_adapter/status HTTP/1.1\r\nHost: localhost\r\n\r\n"
    assert (await ask(dev.invoke_port, payload)).status == 403


@pytest.fixture(scope="module")
def runtime(shared_app: Recorder) -> Iterator[ScriptedRuntimeApi]:
    environ = {"AWS_LWA_PORT": str(shared_app.port), "AWS_LWA_READINESS_CHECK_PATH": PROBE}
    with ScriptedRuntimeApi() as api, RuntimeProcess(api, environ=environ):
        yield api


@pytest.mark.parametrize("event_of", FORMATS)
def test_the_host_of_an_event_is_a_host(app: Recorder, runtime: ScriptedRuntimeApi, event_of: EventOf) -> None:
    for host in INVALID:
        error = runtime.invoke(event_of("/x", [("Host", host.decode("latin-1"))])).error()
        assert error.json()["errorType"] == "Adapter.InvalidEvent"
        # A user name in it could be one with a password.
        assert "secret" not in str(error.json())
    assert app.requests == []
    for host in (*VALID, b""):
        runtime.invoke(event_of("/x", [("host", host.decode())])).answer()
    assert [recorded.all("host") for recorded in app.requests] == [[host.decode()] for host in (*VALID, b"")]
