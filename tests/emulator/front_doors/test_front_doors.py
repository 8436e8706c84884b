"""Every front door: its events, limits, error answers and ways to read a response, with scripted runtimes behind it.

What each of them is expected to do is written down here by hand, not taken from the table under test.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import pytest

from adapter.aws.limits import KIB
from adapter.config.parsers import FRONT_DOORS
from adapter.emulator.front_doors.registry import DOORS
from tests.emulator.door_answers import ALL, FUNCTION_ERRORS, MULTI, PAYLOADS, REST_ERROR, SINGLE, STREAMING, THROTTLED
from tests.emulator.scripted import Handed, ScriptedRuntime, local_lambda, prelude
from tests.emulator.scripts import buffered, each, fail, streaming
from tests.raw_client import RawAnswer, RawClient, head


def cookies(response: RawAnswer) -> list[str]:
    return [value for name, value in response.pairs if name.lower() == "set-cookie"]


def test_the_option_and_the_table_name_the_same_front_doors() -> None:
    assert tuple(DOORS) == FRONT_DOORS


# --- events ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("door", "expected"),
    [
        pytest.param(
            "function-url", {"version": "2.0", "rawPath": "/a%2Fb", "rawQueryString": "x=1&x=2"}, id="function-url"
        ),
        pytest.param("http-api", {"version": "2.0", "rawPath": "/a%2Fb", "routeKey": "$default"}, id="http-api"),
        pytest.param(
            "rest-api",
            {
                "resource": "/{proxy+}",
                "path": "/a%2Fb",
                "httpMethod": "PUT",
                "pathParameters": {"proxy": "a/b"},
                "multiValueQueryStringParameters": {"x": ["1", "2"]},
                "isBase64Encoded": False,
            },
            id="rest-api",
        ),
        pytest.param(
            "alb", {"httpMethod": "PUT", "path": "/a%2Fb", "queryStringParameters": {"x": "2"}, "body": "hi"}, id="alb"
        ),
        pytest.param(
            "alb-multi-value", {"multiValueQueryStringParameters": {"x": ["1", "2"]}, "body": "hi"}, id="multi-value"
        ),
        pytest.param(
            "lattice", {"version": "2.0", "method": "PUT", "queryStringParameters": {"x": ["1", "2"]}}, id="lattice"
        ),
        pytest.param("lattice-v1", {"raw_path": "/a%2Fb?x=1&x=2", "method": "PUT"}, id="lattice-v1"),
    ],
)
async def test_each_front_door_makes_its_own_event(door: str, expected: dict[str, Any]) -> None:
    seen: asyncio.Queue[Any] = asyncio.Queue()

    async def serve(runtime: ScriptedRuntime, handed: Handed) -> None:
        seen.put_nowait(handed.event)
        await runtime.respond(handed, json.dumps(PAYLOADS[door]).encode())

    async with local_lambda(each(serve), front_doors=door, invoke_mode="buffered") as local:
        await local.request("PUT", "/a%2Fb?x=1&x=2", b"hi", {"Content-Type": "text/plain"})
        event = await seen.get()
        assert {key: event[key] for key in expected} == expected


@pytest.mark.parametrize(
    ("door", "arns"),
    [
        pytest.param("alb", ["elasticloadbalancing"], id="alb"),
        pytest.param("alb-multi-value", ["elasticloadbalancing"], id="multi-value"),
        pytest.param("lattice", ["vpc-lattice", "vpc-lattice", "vpc-lattice", "ec2"], id="lattice"),
    ],
)
async def test_arns_in_an_event_are_in_the_region_of_the_function(door: str, arns: list[str]) -> None:
    seen: asyncio.Queue[Any] = asyncio.Queue()

    async def serve(runtime: ScriptedRuntime, handed: Handed) -> None:
        seen.put_nowait(handed.event)
        await runtime.respond(handed, json.dumps(PAYLOADS[door]).encode())

    async with local_lambda(each(serve), front_doors=door, invoke_mode="buffered", region="eu-central-1") as local:
        await local.request("GET", "/")
        context = (await seen.get())["requestContext"]
        found = re.findall(r"arn:aws:([a-z0-9-]+):([a-z0-9-]+):123456789012:", json.dumps(context))
        assert found == [(service, "eu-central-1") for service in arns]
        assert context.get("region", "eu-central-1") == "eu-central-1"


@pytest.mark.parametrize(
    ("door", "expected"),
    [
        *[pytest.param(door, ["127.0.0.1", None, None, "/a"], id=door) for door in ("function-url", "http-api")],
        *[pytest.param(door, ["6.6.6.6, 127.0.0.1", None, None, "/a"], id=door) for door in ("rest-api", "alb")],
        pytest.param("alb-multi-value", ["6.6.6.6, 127.0.0.1", None, None, "/a"], id="alb-multi-value"),
        *[pytest.param(door, ["127.0.0.1", "https", "1", "/a"], id=door) for door in ("lattice", "lattice-v1")],
    ],
)
async def test_a_front_door_sets_its_own_headers_and_passes_all_others(door: str, expected: list[str | None]) -> None:
    """None stands for a value of the front door's own."""
    sent = {"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "https", "X-Forwarded-Port": "1"}
    seen: dict[str, Any] = {}

    async def serve(runtime: ScriptedRuntime, handed: Handed) -> None:
        seen.update(handed.event)
        await runtime.respond(handed, json.dumps(PAYLOADS[door]).encode())

    async with local_lambda(each(serve), front_doors=door, invoke_mode="buffered") as local:
        await local.request("GET", "/", b"", sent | {"X-Forwarded-Prefix": "/a", "SCRIPT_NAME": "/a"})
        own = [None, "http", str(local.port), None]
    headers = {name.lower(): value for name, value in (seen.get("headers") or seen["multiValueHeaders"]).items()}
    values = [
        headers[name] for name in ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-port", "x-forwarded-prefix")
    ]
    assert [value[0] if isinstance(value, list) else value for value in values] == [
        mine if theirs is None else theirs for mine, theirs in zip(own, expected, strict=True)
    ]
    assert ("x-amzn-trace-id" in headers) == (not door.startswith("lattice"))
    # What the app must not believe is removed by the runtime, not by the front door.
    assert headers["script_name"] in ("/a", ["/a"])


async def test_a_rest_api_has_a_stage_and_a_resource() -> None:
    seen: asyncio.Queue[Any] = asyncio.Queue()

    async def serve(runtime: ScriptedRuntime, handed: Handed) -> None:
        seen.put_nowait(handed.event)
        await runtime.respond(handed, json.dumps(MULTI).encode())

    flags: dict[str, Any] = {
        "front_doors": "rest-api",
        "invoke_mode": "buffered",
        "stage": "beta",
        "resource": "/orders/{id}/{rest+}",
    }
    async with local_lambda(each(serve), **flags) as local:
        await local.request("GET", "/orders/7%208/a/b")
        event = await seen.get()
        assert event["resource"] == event["requestContext"]["resourcePath"] == "/orders/{id}/{rest+}"
        assert event["pathParameters"] == {"id": "7 8", "rest": "a/b"}
        assert event["requestContext"]["stage"] == "beta"
        assert event["requestContext"]["path"] == "/beta/orders/7%208/a/b"
        refused = await local.request("GET", "/orders/7")
        assert (refused.status, refused.body) == (403, b'{"message": "Missing Authentication Token"}')


# --- responses ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("door", ALL)
async def test_a_proxy_response_is_decoded(door: str) -> None:
    async with local_lambda(buffered(PAYLOADS[door]), front_doors=door, invoke_mode="buffered") as local:
        response = await local.request("GET", "/")
        assert (response.status, response.body, response.header("x-a")) == (201, b"hi", "1")
        assert response.header("content-length") == "2"
        assert cookies(response) == ["a=1"]
        assert response.header("date")


@pytest.mark.parametrize("door", ALL)
async def test_a_streamed_response_is_decoded_by_its_prelude(door: str) -> None:
    fields = {"statusCode": 201, "headers": {"x-a": "1"}, "cookies": ["a=1", "b=2"]}
    script = streaming(prelude(**fields)[:20], prelude(**fields)[20:] + b"o", b"ne")
    async with local_lambda(script, front_doors=door, invoke_mode="response_stream") as local:
        response = await local.request("GET", "/")
        assert (response.status, response.body, response.header("x-a")) == (201, b"one", "1")
        assert cookies(response) == ["a=1", "b=2"]
        assert (response.header("transfer-encoding") == "chunked") is (door in STREAMING)


@pytest.mark.parametrize("door", STREAMING)
async def test_the_front_doors_that_stream_do_not_wait_for_the_end(door: str) -> None:
    go_on = asyncio.Event()

    async def serve(runtime: ScriptedRuntime, handed: Handed) -> None:
        upload = await runtime.stream(handed)
        await upload.write(prelude() + b"first")
        await go_on.wait()
        await upload.end()

    async with local_lambda(each(serve), front_doors=door) as local:
        client = await RawClient.connect(local.port)
        await client.send(head("GET", "/", {}))
        assert (await client.head()).status == 200
        assert await client.chunk() == b"first"
        go_on.set()
        assert await client.chunk() == b""
        await client.close()


@pytest.mark.parametrize("door", ALL)
async def test_a_function_error_has_the_front_doors_own_words(door: str) -> None:
    async with local_lambda(each(fail), front_doors=door) as local:
        response = await local.request("GET", "/")
        assert (response.status, response.body) == FUNCTION_ERRORS[door]
        assert (await local.visit()).error_type == "Function.Broken"


@pytest.mark.parametrize("door", ALL)
async def test_a_throttled_invocation_has_the_front_doors_own_words(door: str) -> None:
    async with local_lambda(each(fail), front_doors=door, faults="throttle") as local:
        response = await local.request("GET", "/")
        assert (response.status, response.body) == THROTTLED[door]


@pytest.mark.parametrize("door", ALL)
@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(b"no json", id="not-json"),
        pytest.param({"statusCode": "none"}, id="no-status"),
        pytest.param({"statusCode": 101}, id="not-final"),
        pytest.param({"statusCode": 200, "body": "?", "isBase64Encoded": True}, id="not-base64"),
        pytest.param({"statusCode": 200, "headers": [], "multiValueHeaders": []}, id="headers-no-object"),
    ],
)
async def test_a_payload_that_is_no_response_is_the_functions_error(door: str, payload: object) -> None:
    async with local_lambda(buffered(payload), front_doors=door, invoke_mode="buffered") as local:
        response = await local.request("GET", "/")
        assert (response.status, response.body) == FUNCTION_ERRORS[door]
        assert (await local.visit()).error_type == "Adapter.InvalidFunctionResponse"


@pytest.mark.parametrize("door", ALL)
@pytest.mark.parametrize(
    "stream",
    [
        pytest.param([b'{"statusCode": 200}'], id="ends-within-the-prelude"),
        pytest.param([b"no json" + bytes(8), b"more"], id="not-json"),
        pytest.param([b'{"statusCode": 200}' + bytes(7) + b"x"], id="short-delimiter"),
        pytest.param([prelude(statusCode=101), b"more"], id="not-final"),
    ],
)
async def test_a_malformed_prelude_is_the_functions_error(door: str, stream: list[bytes]) -> None:
    async with local_lambda(streaming(*stream), front_doors=door, invoke_mode="response_stream") as local:
        for _ in range(2):
            response = await local.request("GET", "/")
            assert (response.status, response.body) == FUNCTION_ERRORS[door]
        assert local.starts == 1


async def test_a_rest_api_that_streams_takes_nothing_without_a_prelude() -> None:
    flags: dict[str, Any] = {"front_doors": "rest-api", "url_invoke_mode": "response_stream"}
    async with local_lambda(buffered(MULTI), invoke_mode="buffered", **flags) as local:
        response = await local.request("GET", "/")
        assert (response.status, response.body) == (502, REST_ERROR)
    async with local_lambda(streaming(b"raw", **{"Content-Type": "text/csv"}), **flags) as local:
        assert (await local.request("GET", "/")).status == 502


@pytest.mark.parametrize(
    ("filler", "status"), [pytest.param(16 * KIB - 200, 200, id="within"), pytest.param(16 * KIB, 502, id="beyond")]
)
async def test_a_rest_api_wants_the_prelude_within_16_kilobytes(filler: int, status: int) -> None:
    async with local_lambda(streaming(prelude(headers={"x": "y" * filler}), b"body"), front_doors="rest-api") as local:
        assert (await local.request("GET", "/")).status == status


async def test_a_rest_api_accepts_no_key_that_it_does_not_know() -> None:
    async with local_lambda(buffered(MULTI | {"cookies": []}), front_doors="rest-api", invoke_mode="buffered") as local:
        assert (await local.request("GET", "/")).status == 502


async def test_a_rest_api_renames_headers_that_are_its_own() -> None:
    fields = {"headers": {"date": "then", "www-authenticate": "Basic", "x-a": "1"}}
    async with local_lambda(streaming(prelude(**fields)), front_doors="rest-api") as local:
        response = await local.request("GET", "/")
        assert response.header("x-amzn-remapped-date") == "then"
        assert response.header("x-amzn-remapped-www-authenticate") == "Basic"
        assert response.header("www-authenticate") is None
        assert response.header("date") not in (None, "then")


@pytest.mark.parametrize(
    ("door", "payload", "kept"),
    [
        pytest.param("alb", MULTI, [], id="single-value-reads-no-lists"),
        pytest.param("alb-multi-value", SINGLE, [], id="multi-value-reads-no-map"),
        pytest.param("http-api", PAYLOADS["http-api"] | {"cookies": ["a=1", "b=2"]}, ["a=1", "b=2"], id="cookies-list"),
        pytest.param("lattice", SINGLE, ["a=1"], id="lattice-has-one"),
    ],
)
async def test_cookies_are_read_where_the_front_door_reads_them(
    door: str, payload: dict[str, Any], kept: list[str]
) -> None:
    async with local_lambda(buffered(payload), front_doors=door, invoke_mode="buffered") as local:
        assert cookies(await local.request("GET", "/")) == kept


@pytest.mark.parametrize(
    ("door", "names"),
    [
        pytest.param("function-url", ["x-amzn-requestid", "x-amzn-trace-id"], id="function-url"),
        pytest.param("http-api", ["apigw-requestid", "x-amzn-trace-id"], id="http-api"),
        pytest.param("rest-api", ["x-amz-apigw-id", "x-amzn-requestid", "x-amzn-trace-id"], id="rest-api"),
        pytest.param("alb", [], id="alb"),
    ],
)
async def test_a_response_is_marked_as_the_front_door_marks_it(door: str, names: list[str]) -> None:
    async with local_lambda(buffered(PAYLOADS[door]), front_doors=door, invoke_mode="buffered") as local:
        response = await local.request("GET", "/")
        assert (
            sorted(name.lower() for name, _ in response.pairs if "am" in name.lower() or "id" in name.lower()) == names
        )


# --- several at once ---------------------------------------------------------------------------------------------


async def test_several_front_doors_share_one_function() -> None:
    async def serve(runtime: ScriptedRuntime, handed: Handed) -> None:
        kind = "elb" if "elb" in handed.event["requestContext"] else "http"
        await runtime.respond(handed, json.dumps({"statusCode": 200, "body": kind}).encode())

    async with local_lambda(each(serve), front_doors="http-api,alb", invoke_mode="buffered") as local:
        for port, kind in zip(local.door_ports, ("http", "elb"), strict=True):
            client = await RawClient.connect(port)
            assert (await client.request("GET", "/")).body == kind.encode()
            await client.close()
        assert {(await local.visit()).door for _ in range(2)} == {"http-api", "alb"}
        assert local.starts == 1
