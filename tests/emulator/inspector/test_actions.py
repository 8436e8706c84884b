"""What the page can do: replay, edit and send, the other mode, faults, idle time, clear, and exports."""

from __future__ import annotations

import json
import shlex
import subprocess
from base64 import b64encode
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from adapter.emulator.recording.recordings import read_input
from tests.emulator.inspector.test_inspector import FORBIDDEN, SECRETS, concluded, detail, echo_secrets
from tests.emulator.scripted import Handed, LocalLambda, ScriptedRuntime, local_lambda, prelude
from tests.emulator.scripts import buffered, each, streaming

JSON = {"Content-Type": "application/json"}
HAR_SCHEMA = json.loads((Path(__file__).parent / "har_1.2_schema.json").read_text())


async def echo(runtime: ScriptedRuntime, handed: Handed) -> None:
    upload = await runtime.stream(handed)
    await upload.write(prelude(headers={"content-type": "application/json"}) + json.dumps(handed.event).encode())
    await upload.end()


async def act(local: LocalLambda, path: str, status: int = 200, **fields: Any) -> Any:
    answer = await local.inspect(path, JSON, method="POST", body=json.dumps(fields).encode())
    assert answer.status == status, answer.body
    return answer.json()


async def event_of(local: LocalLambda, number: int) -> Any:
    return (await detail(local, number, "?unmask=1"))["event"]


async def test_a_replay_sends_the_original_with_its_secrets() -> None:
    async with local_lambda(each(echo)) as local:
        await local.request("POST", "/a%2Fb?x=1", b"\xff\x00", SECRETS | {"X-Twice": "1"})
        await concluded(local)
        assert await act(local, "records/1/replay") == {"id": 2}
        await concluded(local)
        first, second = await event_of(local, 1), await event_of(local, 2)
        for event in (first, second):
            del event["requestContext"]["requestId"], event["requestContext"]["timeEpoch"]
            del event["requestContext"]["time"], event["headers"]["x-amzn-trace-id"]
        assert first == second
        assert second["headers"]["authorization"] == SECRETS["Authorization"]
        shown = await detail(local, 2)
        assert (shown["replayOf"], shown["status"]) == (1, 200)


async def test_an_edited_request_gets_the_original_in_the_place_of_each_mask() -> None:
    async with local_lambda(each(echo)) as local:
        await local.request("POST", "/?token=t0ken-value&page=1", b"hello", SECRETS)
        await concluded(local)
        shown = (await detail(local))["clientRequest"]
        headers = [pair for pair in shown["headers"] if pair[0].lower() != "x-api-key"] + [
            ["X-New", "1"],
            ["Content-Type", "text/plain"],
        ]
        target = shown["target"].replace("page=1", "page=2")
        fields = {"door": "function-url", "method": "PUT", "target": target, "headers": headers, "bodyText": "other"}
        sent = await act(local, "send", **fields, basedOn=1)
        await concluded(local)
        event = await event_of(local, sent["id"])
        assert (event["rawQueryString"], event["body"]) == ("token=t0ken-value&page=2", "other")
        assert event["requestContext"]["http"]["method"] == "PUT"
        assert event["headers"]["authorization"] == SECRETS["Authorization"]
        assert event["cookies"] == ["session=cookie-secret-1", "theme=dark-secret-2"]
        assert (event["headers"]["x-new"], "x-api-key" in event["headers"]) == ("1", False)


async def test_an_edited_event_is_an_invocation() -> None:
    async with local_lambda(each(echo)) as local:
        await local.request("GET", "/", b"", SECRETS)
        await concluded(local)
        event = (await detail(local))["event"]
        event["rawPath"] = "/edited"
        sent = await act(local, "send", event=event, basedOn=1)
        await concluded(local)
        got = await event_of(local, sent["id"])
        assert (got["rawPath"], got["headers"]["authorization"]) == ("/edited", SECRETS["Authorization"])
        assert (await detail(local, sent["id"]))["door"] == "invoke-api"


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"door": "alb"}, id="a-door-that-is-closed"),
        pytest.param({"door": "function-url", "method": "G ET"}, id="method"),
        pytest.param({"door": "function-url", "target": "x"}, id="target"),
        pytest.param({"door": "function-url", "target": "/\r\nX: 1"}, id="target-with-a-line-break"),
        pytest.param({"door": "function-url", "headers": [["x", "a\r\nb: c"]]}, id="header-with-a-line-break"),
        pytest.param({"door": "function-url", "headers": [["x", "••••"]]}, id="a-mask-without-an-original"),
        pytest.param({"door": "function-url", "bodyText": "••••"}, id="a-mask-in-the-body"),
        pytest.param({"door": "function-url", "bodyBase64": "?"}, id="not-base64"),
        pytest.param({"event": {"a": "••••"}}, id="a-mask-in-the-event"),
    ],
)
async def test_a_request_that_cannot_be_sent_is_refused_with_the_reason(fields: dict[str, Any]) -> None:
    async with local_lambda(each(echo)) as local:
        answer = await act(local, "send", status=400, **fields)
        assert len(answer["error"]) > 10
        assert len(local.ring) == 0


async def test_an_action_needs_json() -> None:
    async with local_lambda(each(echo)) as local:
        await local.request("GET", "/")
        for headers in ({}, {"Content-Type": "text/plain"}, {"Content-Type": "application/x-www-form-urlencoded"}):
            answer = await local.inspect("clear", headers, method="POST", body=b"{}")
            assert answer.status == 415
        assert len(local.ring) == 1
        assert await act(local, "clear") == {}
        assert len(local.ring) == 0


async def test_the_other_mode_is_refused_with_the_reason_if_the_function_cannot_run_twice() -> None:
    async with local_lambda(each(echo)) as local:
        await local.request("GET", "/")
        assert "other invoke mode" in (await act(local, "records/1/replay", status=409, mode="buffered"))["error"]


async def test_faults_are_replaced_while_it_runs() -> None:
    async with local_lambda(each(echo)) as local:
        assert await act(local, "faults", fault="throttle, delay=0:10%") == {"faults": ["throttle", "delay=0:10%"]}
        assert (await local.request("GET", "/")).status == 429
        assert "is not a fault" in (await act(local, "faults", status=400, fault="thrott"))["error"]
        assert await act(local, "faults", fault="") == {"faults": []}
        assert (await local.request("GET", "/")).status == 200


async def test_idle_time_can_be_added() -> None:
    async with local_lambda(each(echo), idle_reclaim="3000") as local:
        await local.request("GET", "/")
        await concluded(local)
        await act(local, "idle", status=400, seconds="many")
        await act(local, "idle", seconds=3600)
        await local.request("GET", "/")
        assert local.starts == 2


# --- exports ---------------------------------------------------------------------------------------------------------


async def export(local: LocalLambda, kind: str, query: str = "") -> bytes:
    answer = await local.inspect(f"records/1/export?as={kind}{query}")
    assert answer.status == 200, answer.body
    return answer.body


@pytest.mark.parametrize("kind", ["curl", "invoke", "boto3", "event", "har", "recording"])
async def test_an_export_is_masked_unless_asked_otherwise(kind: str) -> None:
    async with local_lambda(each(echo_secrets), secret_values=["env-secret-5"]) as local:
        await local.request("POST", "/?access_token=a-very-secret-token", b"env-secret-5", SECRETS)
        await concluded(local)
        masked = (await export(local, kind)).decode()
        assert [secret for secret in FORBIDDEN if secret in masked] == []
        assert "••••" in masked or "\\u2022" in masked
        assert "api-key-secret-3" in (await export(local, kind, "&unmask=1")).decode()


async def test_curl_repeats_the_request_through_a_shell() -> None:
    async with local_lambda(each(echo)) as local:
        nasty = 'it\'s $HOME `id` "q" \\ ; &\n*'
        await local.request("POST", "/a/../b?q=[1]&r={2}", nasty.encode(), {"X-Quote": "a'b\"c", "X-Empty": ""})
        await concluded(local)
        command = (await export(local, "curl", "&unmask=1")).decode()
        process = await asyncio_run(command)
        assert process.returncode == 0
        event = json.loads(process.stdout)
        first = await event_of(local, 1)
        for key in ("rawPath", "rawQueryString", "body"):
            assert event[key] == first[key]
        assert event["headers"]["x-quote"] == "a'b\"c"
        assert event["headers"]["x-empty"] == ""


async def test_curl_repeats_a_binary_body() -> None:
    async with local_lambda(each(echo)) as local:
        body = bytes(range(256))
        await local.request("POST", "/", body, {"Content-Type": "image/png"})
        await concluded(local)
        process = await asyncio_run((await export(local, "curl")).decode())
        assert json.loads(process.stdout)["body"] == b64encode(body).decode()


async def asyncio_run(command: str) -> subprocess.CompletedProcess[bytes]:
    import asyncio

    return await asyncio.to_thread(subprocess.run, ["sh", "-c", f"{command} --silent"], capture_output=True, timeout=20)


async def test_the_archive_is_valid() -> None:
    head = prelude(headers={"content-type": "image/png"}, cookies=["a=1; Path=/"])
    async with local_lambda(streaming(head, b"\xff")) as local:
        await local.request("POST", "/x?a=1&b=", b"text", {"Cookie": "c=2", "Content-Type": "text/plain"})
        await local.request("GET", "/")
        await concluded(local, 2)
        for content in (await export(local, "har"), (await local.inspect("export?as=har")).body):
            jsonschema.validate(json.loads(content), HAR_SCHEMA, format_checker=jsonschema.FormatChecker())
        entries = json.loads((await local.inspect("export?as=har")).body)["log"]["entries"]
        assert [entry["request"]["url"] for entry in entries] == [
            f"http://127.0.0.1:{local.port}/x?a=1&b=",
            f"http://127.0.0.1:{local.port}/",
        ]
        content = entries[0]["response"]["content"]
        assert (content["encoding"], content["text"]) == ("base64", "/w==")
        timings = entries[0]["timings"]
        assert entries[0]["time"] == pytest.approx(sum(timings.values()), abs=0.01)


async def test_a_recording_can_be_replayed_and_compared(tmp_path: Path) -> None:
    async with local_lambda(streaming(prelude(statusCode=201), b"hello")) as local:
        await local.request("GET", "/x")
        await concluded(local)
        file = tmp_path / "recording.json"
        file.write_bytes(await export(local, "recording"))
        recording = read_input(str(file))
        assert recording.was_streamed
        assert recording.difference(prelude(statusCode=201, headers={}, cookies=[]) + b"hello") == ""
        assert json.loads(recording.event)["rawPath"] == "/x"


async def test_the_command_of_adapter_invoke_has_the_event() -> None:
    async with local_lambda(buffered({"statusCode": 200, "body": "x"}), invoke_mode="buffered") as local:
        await local.request("GET", "/it's")
        await concluded(local)
        words = shlex.split((await export(local, "invoke")).decode())
        assert words[:2] == ["printf", "%s"]
        assert json.loads(words[2])["rawPath"] == "/it's"
        assert words[4:8] == ["adapter", "invoke", "--endpoint", f"http://127.0.0.1:{local.invoke_port}"]
        compile((await export(local, "boto3")).decode(), "boto3", "exec")


async def test_an_export_that_does_not_exist_is_refused() -> None:
    async with local_lambda(streaming(prelude())) as local:
        await local.request("GET", "/")
        assert (await local.inspect("records/1/export?as=pdf")).status == 400
        assert (await local.inspect("records/9/export?as=har")).status == 404
        assert (await local.inspect("export?as=curl")).status == 400
