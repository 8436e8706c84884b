"""Every front door in both invoke modes with both examples, on real processes.

One runtime process serves all front doors of a framework and a mode, as one function may on Lambda.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterator
from typing import Any, cast

import pytest

from adapter.payload.messages import Request
from tests.apps import FRAMEWORKS, Framework
from tests.e2e.front_doors import BINARY, FRONT_DOORS, GET_REQUEST, POST_REQUEST, FrontDoor, FunctionAnswer
from tests.e2e.running_function import INVOKE_MODES, RunningFunction, running_function

FUNCTIONS = [
    pytest.param((framework, mode), id=f"{framework}-{mode}") for framework in FRAMEWORKS for mode in INVOKE_MODES
]
DOORS = [pytest.param(door, id=door.name) for door in FRONT_DOORS]
PATTERN = bytes(range(251))


@pytest.fixture(scope="module", params=FUNCTIONS)
def function(request: pytest.FixtureRequest) -> Iterator[RunningFunction]:
    framework, invoke_mode = cast("tuple[Framework, str]", request.param)
    with running_function(framework, invoke_mode) as function:
        yield function


@pytest.fixture(params=DOORS)
def door(request: pytest.FixtureRequest) -> FrontDoor:
    return cast(FrontDoor, request.param)


def ask(function: RunningFunction, door: FrontDoor, request: Request) -> FunctionAnswer:
    """What ``door`` gets for ``request``."""
    return door.read(function.invoke(door.event(request)), streamed=function.streams)


def get(function: RunningFunction, door: FrontDoor, target: str, method: str = "GET") -> FunctionAnswer:
    return ask(function, door, Request(method=method, target=target, headers=[("host", "example.test")]))


def test_a_get_reaches_the_app_with_its_query_and_every_header(function: RunningFunction, door: FrontDoor) -> None:
    event = door.event(GET_REQUEST)
    assert event == event | door.event_of_get
    answer = ask(function, door, GET_REQUEST)
    assert answer.status == 200
    seen = json.loads(answer.body)
    assert (seen["method"], seen["path"], seen["query"]) == ("GET", door.path, door.query)
    assert b64decode(seen["body"]) == b""
    # WSGI has one value for each name, whatever came.
    repeats = door.repeats if function.framework == "fastapi" else [",".join(door.repeats)]
    assert [value for name, value in seen["headers"] if name.lower() == "x-repeat"] == repeats
    assert [value for name, value in seen["headers"] if name.lower() == "cookie"] == ["a=1; b=2"]
    assert [value for name, value in seen["headers"] if name.lower() == "host"] == ["example.test"]


def test_a_post_brings_its_binary_body_to_the_app(function: RunningFunction, door: FrontDoor) -> None:
    event = door.event(POST_REQUEST)
    assert event == event | door.event_of_post
    assert b64decode(event["body"], validate=True) == BINARY
    seen = json.loads(ask(function, door, POST_REQUEST).body)
    assert (seen["method"], seen["path"], seen["query"]) == ("POST", "/echo/upload", "")
    assert b64decode(seen["body"]) == BINARY
    assert [value for name, value in seen["headers"] if name.lower() == "content-length"] == [str(len(BINARY))]


def test_as_many_of_two_cookies_come_back_as_the_front_door_can_carry(
    function: RunningFunction, door: FrontDoor
) -> None:
    cookies = get(function, door, "/cookies").all("set-cookie")
    expected = ["session=abc123", "theme=dark"][0 if function.streams else -door.cookies :]
    assert [cookie.partition(";")[0] for cookie in cookies] == expected
    assert "expires=Fri, 01 Jan 2038" in cookies[-1].replace("Expires", "expires")


def test_a_text_response_is_text(function: RunningFunction, door: FrontDoor) -> None:
    answer = get(function, door, "/")
    assert answer.status == 200
    assert answer.all("content-type") == ["application/json"]
    assert json.loads(answer.body)["framework"] == function.framework
    assert answer.base64 in (None, False)


def test_a_404_comes_back_as_the_app_made_it(function: RunningFunction, door: FrontDoor) -> None:
    answer = get(function, door, "/nothing-here")
    assert answer.status == 404
    assert answer.description in (None, "404 Not Found")
    assert "detail" in json.loads(answer.body)


def test_a_204_comes_back_empty(function: RunningFunction, door: FrontDoor) -> None:
    answer = get(function, door, "/status/204")
    assert (answer.status, answer.body) == (204, b"")
    assert answer.description in (None, "204 No Content")


def test_a_binary_download_comes_back_byte_for_byte(function: RunningFunction, door: FrontDoor) -> None:
    answer = get(function, door, "/download?bytes=502000")
    assert answer.status == 200
    assert answer.all("content-type") == ["application/octet-stream"]
    assert answer.all("content-length") == []
    assert answer.base64 in (None, True)
    assert answer.body == PATTERN * 2000


def test_a_head_request_comes_back_without_a_body(function: RunningFunction, door: FrontDoor) -> None:
    answer = get(function, door, "/download?bytes=502000", method="HEAD")
    assert (answer.status, answer.body) == (200, b"")
    assert answer.all("content-type") == ["application/octet-stream"]
    # The connection to the app must not be left waiting for the body that was announced.
    assert get(function, door, "/status/200").status == 200


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        pytest.param(
            {"Records": [{"messageId": "1", "eventSource": "aws:sqs", "body": "fail"}]},
            {"batchItemFailures": [{"itemIdentifier": "1"}]},
            id="sqs",
        ),
        pytest.param({"source": "aws.ec2", "detail": {}}, {"kind": "aws.ec2", "records": 0}, id="eventbridge"),
        pytest.param(["no", "object"], {"kind": "unknown", "records": 0}, id="list"),
        pytest.param("text", {"kind": "unknown", "records": 0}, id="string"),
    ],
)
def test_what_is_not_http_is_passed_through_and_the_body_is_the_answer(
    function: RunningFunction, event: Any, expected: dict[str, Any]
) -> None:
    call = function.invoke(event)
    assert call.json() == expected
    assert call.headers["content-type"] == "application/json"
    assert call.headers.get("lambda-runtime-function-response-mode") == ("streaming" if function.streams else None)


@pytest.mark.parametrize(("framework", "invoke_mode"), [each.values[0] for each in FUNCTIONS])
def test_an_event_is_passed_through_byte_for_byte(framework: Framework, invoke_mode: str) -> None:
    """White space, numbers beyond 64 bits and escapes are the sender's: no parser writes them again."""
    event = '{ "number": 123456789012345678901234567890,\n "text": "\\u00fc ü" }'.encode()
    path = {"AWS_LWA_PASS_THROUGH_PATH": "/echo/any/events?from=lambda"}
    with running_function(framework, invoke_mode, **path) as function:
        seen = function.invoke(event).json()
    assert (seen["method"], seen["path"], seen["query"]) == ("POST", "/echo/any/events", "from=lambda")
    assert b64decode(seen["body"]) == event
    assert [value for name, value in seen["headers"] if name.lower() == "content-type"] == ["application/json"]
