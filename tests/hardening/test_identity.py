"""Headers that an app takes for Lambda's word, or for the proxy's: none that a client sent ever arrives."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import pytest

from tests.events import function_url
from tests.hardening import figures
from tests.hardening.dev_process import DOORS, DevProcess
from tests.hardening.recorder import PROBE, Recorded, Recorder
from tests.proxy.process import ProxyProcess
from tests.raw_client import ask
from tests.runtime_process import RuntimeProcess
from tests.scripted_runtime_api import ScriptedRuntimeApi

VARIANTS = 500
FORGED = "forged-by-the-client"
IDENTITY = ["x-amzn-request-context", "x-amzn-lambda-context", "x-amz-tenant-id"]
CLAIMS = [
    *("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port", "forwarded", "x-real-ip"),
    *(
        "x-forwarded-prefix",
        "x-forwarded-ssl",
        "x-forwarded-user",
        "true-client-ip",
        "cf-connecting-ip",
        "x-url-scheme",
    ),
]
# No front door sends these, and no app may get them from a client, on Lambda neither.
BELIEVED = [
    *("script-name", "path-info", "remote-user", "x-script-name", "x-original-url", "x-rewrite-url", "x-accel-mapping"),
    *("x-middleware-subrequest", "x-amzn-lambda-event", "server-name", "x-remote-user"),
]

Pairs = list[tuple[str, str]]


def disguised(name: str, chance: random.Random) -> str:
    """``name`` in some case, with some of its dashes as underscores."""
    letters = [chance.choice((letter.lower(), letter.upper())) for letter in name]
    return "".join(chance.choice("-_") if letter == "-" and chance.random() < 0.4 else letter for letter in letters)


def forgeries(names: list[str]) -> Iterator[Pairs]:
    """Header lists without end, the same ones in every run."""
    chance = random.Random(6)
    while True:
        chosen = chance.sample(names, chance.randint(1, len(names)))
        headers = [(disguised(name, chance), FORGED) for name in chosen for _ in range(chance.choice((1, 1, 2)))]
        headers.append(("X-Innocent", "stays"))
        if chance.random() < 0.5:
            nominated = [chance.choice((name, disguised(name, chance))) for name in names]
            headers.append((disguised("connection", chance), chance.choice((", ", ",", " ,\t")).join(nominated)))
        chance.shuffle(headers)
        yield headers


def lists(headers: Pairs) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    for name, value in headers:
        values.setdefault(name, []).append(value)
    return values


def http_api(path: str, headers: Pairs) -> dict[str, Any]:
    return function_url(path, headers=dict(headers))


def rest_api(path: str, headers: Pairs) -> dict[str, Any]:
    maps = {"headers": dict(headers), "multiValueHeaders": lists(headers)}
    return {"httpMethod": "GET", "path": path, "requestContext": {"stage": "prod"}, **maps}


def alb(path: str, headers: Pairs) -> dict[str, Any]:
    context = {"elb": {"targetGroupArn": "arn"}}
    return {"httpMethod": "GET", "path": path, "requestContext": context, "headers": dict(headers)}


def alb_multi(path: str, headers: Pairs) -> dict[str, Any]:
    context = {"elb": {"targetGroupArn": "arn"}}
    return {"httpMethod": "GET", "path": path, "requestContext": context, "multiValueHeaders": lists(headers)}


def lattice_v1(path: str, headers: Pairs) -> dict[str, Any]:
    return {"method": "GET", "raw_path": path, "headers": dict(headers)}


def lattice_v2(path: str, headers: Pairs) -> dict[str, Any]:
    context = {"serviceNetworkArn": "arn"}
    return {"version": "2.0", "method": "GET", "path": path, "requestContext": context, "headers": lists(headers)}


EventOf = Callable[[str, Pairs], dict[str, Any]]
FORMATS: list[EventOf] = [http_api, rest_api, alb, alb_multi, lattice_v1, lattice_v2]


def check_identity(recorded: Recorded, *, tenant: list[str], has_context: bool) -> None:
    """Nothing forged, and each of the adapter's own exactly once."""
    assert FORGED not in str(recorded.pairs)
    assert not any("_" in name for name, _ in recorded.pairs)
    assert recorded.all("x-innocent") == ["stays"]
    (lambda_context,) = recorded.all("x-amzn-lambda-context")
    assert json.loads(lambda_context)["request_id"]
    assert len(recorded.all("x-amzn-request-context")) == has_context
    assert recorded.all("x-amz-tenant-id") == tenant


def test_no_event_carries_a_forged_identity_to_the_app() -> None:
    with Recorder() as app, ScriptedRuntimeApi() as api:
        environ = {"AWS_LWA_PORT": str(app.port), "AWS_LWA_READINESS_CHECK_PATH": PROBE}
        with RuntimeProcess(api, environ=environ):
            last = None
            for number, headers in enumerate(islice(forgeries(IDENTITY + BELIEVED), VARIANTS)):
                for event_of in FORMATS:
                    tenant = {"Aws_Tenant_Id": "tenant-1"} if number % 2 else {}
                    last = api.invoke(event_of(f"/{event_of.__name__}/{number}", headers), **tenant)
            assert last is not None
            last.answer()
    assert app.violations == []
    assert len(app.requests) == VARIANTS * len(FORMATS)
    for recorded in app.requests:
        _, name, number_text = recorded.target.split("/")
        tenant_id = ["tenant-1"] if int(number_text) % 2 else []
        check_identity(recorded, tenant=tenant_id, has_context=name != "lattice_v1")
    figures.show("forged identity headers, events", f"0 arrived of {VARIANTS} variants in {len(FORMATS)} formats")


def request(path: str, headers: Pairs) -> bytes:
    lines = [f"GET {path} HTTP/1.1", "Host: app.example", *(f"{name}: {value}" for name, value in headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


@pytest.mark.parametrize("door", DOORS)
async def test_no_front_door_lets_a_forged_identity_through(app: Recorder, dev: DevProcess, door: str) -> None:
    for number, headers in enumerate(islice(forgeries(IDENTITY + BELIEVED), VARIANTS)):
        answer = await ask(dev.ports[door], request(f"/door/{number}", headers))
        assert answer.status == 200
    assert len(app.requests) == VARIANTS
    for recorded in app.requests:
        check_identity(recorded, tenant=[], has_context=door != "lattice-v1")
    figures.show(f"forged identity headers, {door}", f"0 arrived of {VARIANTS} variants")


async def test_the_proxy_lets_no_forged_identity_and_no_claim_through(app: Recorder, proxy: ProxyProcess) -> None:
    for number, headers in enumerate(islice(forgeries(IDENTITY + BELIEVED + CLAIMS), VARIANTS)):
        await ask(proxy.port, request(f"/proxy/{number}", headers))
    assert len(app.requests) == VARIANTS
    for recorded in app.requests:
        assert FORGED not in str(recorded.pairs)
        assert not any("_" in name for name, _ in recorded.pairs)
        assert recorded.all("x-innocent") == ["stays"]
        assert [recorded.all(name) for name in IDENTITY] == [[], [], []]
        assert recorded.all("x-forwarded-for") == ["127.0.0.1"]
        assert recorded.all("x-forwarded-proto") == ["http"]
        assert recorded.all("x-forwarded-host") == ["app.example"]
        assert recorded.all("forwarded") == ['for=127.0.0.1;host="app.example";proto=http']
    figures.show("forged identity and x-forwarded-* headers, proxy", f"0 arrived of {VARIANTS} variants")
