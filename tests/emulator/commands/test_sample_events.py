"""``adapter event``: events that the codecs and AWS's own samples agree with."""

from __future__ import annotations

import base64
import gzip
import json
import re
from typing import Any

import pytest

from adapter.emulator.commands.event import KINDS, SOURCES, EventOptions, make_event
from adapter.errors import ConfigurationError
from adapter.payload.event import detect
from tests.samples import sam_sample_event

# AWS's own samples of the same sources.
AWS_SAMPLES = {
    "sqs": "sqs receive-message",
    "sns": "sns notification",
    "s3": "s3 put",
    "schedule": "cloudwatch scheduled-event",
    "dynamodb": "dynamodb update",
    "kinesis": "kinesis get-records",
    "firehose": "kinesis kinesis-firehose",
    "cloudwatch-logs": "cloudwatch logs",
    "ses": "ses email-receiving",
    "authorizer": "apigateway authorizer",
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_event_is_json_and_of_the_format_that_it_says(kind: str) -> None:
    event = make_event(kind, EventOptions(method="post", path="/a?x=1", body=b"hi"))
    text = json.dumps(event)
    formats = {"function-url": "http-api", "lattice": "lattice-v2"}
    expected = "pass-through" if kind in SOURCES else formats.get(kind, kind)
    assert detect(json.loads(text)).name == expected
    assert make_event(kind, EventOptions(method="post", path="/a?x=1", body=b"hi")) == event


@pytest.mark.parametrize("kind", ["alb", "alb-multi-value", "lattice", "sqs"])
def test_arns_are_in_the_chosen_region(kind: str) -> None:
    event = json.dumps(make_event(kind, EventOptions(region="eu-central-1")))
    assert re.findall(r"arn:aws:[a-z0-9-]+:([a-z0-9-]+):", event)
    assert "us-east-1" not in event


def test_an_http_event_has_the_request_that_was_wished_for() -> None:
    options = EventOptions(
        method="put", path="/a%2Fb?x=1&x=2", headers=[("X-A", "1"), ("Host", "api.test")], body=b"\xff"
    )
    request = detect(event := make_event("rest-api", options)).decode_request(event)
    assert (request.method, request.target, request.body) == ("PUT", "/a%2Fb?x=1&x=2", b"\xff")
    assert ("X-A", "1") in request.headers
    assert ("Host", "api.test") in request.headers
    assert event["requestContext"]["stage"] == "prod"


def test_a_rest_api_writes_names_of_headers_in_its_own_way_and_leaves_parameters_encoded() -> None:
    options = EventOptions(path="//a%2Fb/", headers=[("tEsT", "1"), ("content-length", "0")])
    event = make_event("rest-api", options)
    own = {"Host", "User-Agent", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Port"}
    assert event["headers"].keys() == event["multiValueHeaders"].keys() == {"tEsT", *own}
    assert (event["path"], event["pathParameters"]) == ("/a%2Fb/", {"proxy": "a%2Fb"})


def carried(event: dict[str, Any]) -> str:
    """Everything in ``event`` that a message may be in, decoded, as one text."""
    texts = [json.dumps(event)]

    def look(value: Any) -> None:
        if isinstance(value, dict):
            for each in value.values():
                look(each)
        elif isinstance(value, list):
            for each in value:
                look(each)
        elif isinstance(value, str):
            try:
                raw = base64.b64decode(value, validate=True)
            except ValueError:
                return
            texts.append((gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode(errors="replace"))

    look(event)
    return "\n".join(texts)


@pytest.mark.parametrize("kind", [kind for kind in SOURCES if kind != "schedule"])
def test_the_message_and_the_name_are_in_the_event(kind: str) -> None:
    event = make_event(kind, EventOptions(body=b"a message of mine", name="my-name"))
    assert "a message of mine" in carried(event)
    if kind != "authorizer":
        assert "my-name" in carried(event)


def outline(value: Any) -> Any:
    """Return ``value`` with types in place of values, and only the first item of each list."""
    if isinstance(value, dict):
        return {key: outline(each) for key, each in value.items()}
    if isinstance(value, list):
        return [outline(value[0])] if value else []
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


@pytest.mark.parametrize(("kind", "sample"), AWS_SAMPLES.items(), ids=AWS_SAMPLES)
def test_the_outline_is_that_of_awss_own_sample(kind: str, sample: str) -> None:
    ours, theirs = outline(make_event(kind, EventOptions())), outline(sam_sample_event(sample))
    # A few of AWS's samples are older than its documentation, and lack what was added since.
    assert set(ours) >= set(theirs)
    if "Records" in ours:
        assert set(ours["Records"][0]) == set(theirs["Records"][0])


@pytest.mark.parametrize(
    ("kind", "options", "why"),
    [
        pytest.param("sqs", EventOptions(body=b"\xff"), "--body: is not UTF-8", id="bytes-for-a-text"),
        pytest.param("http-api", EventOptions(path="/100%"), "--path: '/100%' cannot be used", id="path"),
        pytest.param(
            "rest-api", EventOptions(path="/x", resource="/y"), "does not match the resource /y", id="resource"
        ),
    ],
)
def test_what_an_event_cannot_have_is_a_mistake(kind: str, options: EventOptions, why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        make_event(kind, options)
