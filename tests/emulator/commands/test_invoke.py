"""``adapter invoke`` and ``adapter event`` as users run them: processes, and a local Lambda with a script in it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from tests.emulator.scripted import LocalLambda, Script, ScriptedRuntime, Upload, local_lambda, prelude
from tests.unused_port import unused_port


class Done:
    """A command that has ended."""

    def __init__(self, code: int | None, out: bytes, err: bytes) -> None:
        self.code = code
        self.out = out
        self.err = err.decode()


def environ() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("ADAPTER_", "AWS_"))}


async def adapter(*arguments: str, given: bytes = b"", **variables: str) -> Done:
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-I", "-m", "adapter", *arguments],
        env=environ() | variables,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate(given)
    return Done(process.returncode, out, err)


async def invoke(local: LocalLambda, *arguments: str, given: bytes = b"") -> Done:
    return await adapter("invoke", "--endpoint", f"http://127.0.0.1:{local.invoke_port}", *arguments, given=given)


def only_file(folder: Path) -> Path:
    (file,) = folder.iterdir()
    return file


async def echo(runtime: ScriptedRuntime) -> int:
    while True:
        handed = await runtime.next()
        seen = {"event": handed.event, "headers": {name.lower(): value for name, value in handed.response.pairs}}
        await runtime.respond(handed, json.dumps(seen).encode())


async def echo_the_event(runtime: ScriptedRuntime) -> int:
    while True:
        handed = await runtime.next()
        await runtime.respond(handed, json.dumps(handed.event).encode())


def each_answers(payload: bytes) -> Script:
    async def script(runtime: ScriptedRuntime) -> int:
        while True:
            await runtime.respond(await runtime.next(), payload)

    return script


async def fail(runtime: ScriptedRuntime) -> int:
    while True:
        await runtime.fail(await runtime.next(), "Function.Broken", "it broke")


async def test_an_event_from_a_file_or_standard_input_is_answered_with_the_payload(tmp_path: Path) -> None:
    (tmp_path / "event.json").write_text('{"a": 1}')
    async with local_lambda(echo) as local:
        for arguments, given in (([str(tmp_path / "event.json")], b""), (["-"], b'{"a": 1}')):
            done = await invoke(local, *arguments, given=given)
            assert (done.code, done.err) == (0, "")
            assert json.loads(done.out)["event"] == {"a": 1}


async def test_the_flags_are_what_the_function_is_told() -> None:
    flags = ["--function", "shop", "--qualifier", "live", "--tenant-id", "t-1", "--client-context", '{"k": 1}']
    async with local_lambda(echo) as local:
        done = await invoke(local, "-", *flags, given=b"{}")
        headers = json.loads(done.out)["headers"]
        assert headers["lambda-runtime-invoked-function-arn"].endswith(":function:shop:live")
        assert headers["lambda-runtime-aws-tenant-id"] == "t-1"
        assert json.loads(headers["lambda-runtime-client-context"]) == {"k": 1}


async def test_the_log_is_shown_on_demand() -> None:
    async with local_lambda(echo) as local:
        for flags in (["--log"], ["--log", "--stream"]):
            done = await invoke(local, "-", *flags, given=b"{}")
            assert "START RequestId: " in done.err
            assert "REPORT RequestId: " in done.err


async def test_a_stream_is_written_as_it_comes() -> None:
    uploads: asyncio.Queue[Upload] = asyncio.Queue()

    async def script(runtime: ScriptedRuntime) -> int:
        uploads.put_nowait(await runtime.stream(await runtime.next()))
        await asyncio.Event().wait()
        return 0

    async with local_lambda(script) as local:
        process = await asyncio.create_subprocess_exec(
            *[sys.executable, "-I", "-m", "adapter", "invoke", "--stream", "-"],
            env=environ() | {"ADAPTER_INVOKE_PORT": str(local.invoke_port)},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"{}")
        process.stdin.close()
        upload = await uploads.get()
        for piece in (b"one\n", b"two\n"):
            await upload.write(piece)
            assert await process.stdout.readline() == piece
        await upload.end()
        assert await process.stdout.read() == b""
        assert await process.wait() == 0


@pytest.mark.parametrize("flags", [[], ["--stream"]], ids=["whole", "streamed"])
async def test_a_function_error_is_the_exit_code(flags: list[str]) -> None:
    async with local_lambda(fail) as local:
        done = await invoke(local, *flags, "-", given=b"{}")
        assert done.code == 1
        assert "-: function error: " in done.err


@pytest.mark.parametrize("flags", [[], ["--stream"]], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    ("payload", "code"),
    [
        pytest.param(b'{"statusCode": 404, "body": ""}', 1, id="404"),
        pytest.param(b'{"statusCode": "500", "body": ""}', 1, id="500-as-text"),
        pytest.param(prelude(statusCode=400) + b"no", 1, id="a-stream-with-400"),
        pytest.param(b'{"statusCode": 302, "body": ""}', 0, id="302"),
        pytest.param(b'{"statusCode": true}', 0, id="no-status"),
        pytest.param(b'"not an HTTP response"', 0, id="another-payload"),
        pytest.param(b"", 0, id="empty"),
    ],
)
async def test_a_bad_status_is_the_exit_code_on_demand(payload: bytes, code: int, flags: list[str]) -> None:
    async with local_lambda(each_answers(payload)) as local:
        assert (await invoke(local, *flags, "-", given=b"{}")).code == 0
        done = await invoke(local, *flags, "--fail-on-status", "-", given=b"{}")
        assert (done.code, "-: the answer has the status " in done.err) == (code, bool(code))


async def test_the_status_of_an_event_is_that_of_the_app_and_not_of_the_payload() -> None:
    async def script(runtime: ScriptedRuntime) -> int:
        while True:
            handed = await runtime.next()
            path = f"/2018-06-01/runtime/invocation/{handed.request_id}/response"
            await runtime.call("POST", path, b'{"statusCode": 500}', {"Adapter-App-Status": "200 /events"})

    async with local_lambda(script) as local:
        assert (await invoke(local, "--fail-on-status", "-", given=b"{}")).code == 0
        record = await local.visit()
        assert (record.app_status, record.app_path) == (200, "/events")


@pytest.mark.parametrize(("kind", "status"), [("Event", 202), ("DryRun", 204)])
async def test_other_types_only_say_that_they_were_taken(kind: str, status: int) -> None:
    async with local_lambda(echo) as local:
        done = await invoke(local, "--type", kind, "-", given=b"{}")
        assert (done.code, done.out) == (0, b"")
        assert done.err == f"adapter: -: {kind}: {status}\n"


async def test_a_refusal_is_one_line_with_lambdas_words() -> None:
    async with local_lambda(echo) as local:
        done = await invoke(local, "-", given=b"no json")
        assert (done.code, done.out) == (1, b"")
        assert done.err.startswith(
            "adapter: -: 400 InvalidRequestContentException: Could not parse request body into json"
        )
        assert len(done.err.splitlines()) == 1


async def test_of_several_events_each_failure_is_told_with_its_file_and_all_others_are_invoked(tmp_path: Path) -> None:
    events = {"d": b"no json", "c": b"1", "b": b'{"adapterRecording": 2}', "a": b"2"}
    files = [tmp_path / name for name in events]
    for file in files:
        file.write_bytes(events[file.name])
    async with local_lambda(echo_the_event) as local:
        done = await invoke(local, *map(str, files))
    assert (done.code, done.out) == (1, b"12")
    refused, mistaken = done.err.splitlines()
    assert refused.startswith(f"adapter: {tmp_path / 'd'}: 400 InvalidRequestContentException: ")
    reason = "is not a valid recording, or was written by another version of adapter"
    assert mistaken == f"adapter: EVENT: '{tmp_path / 'b'}' {reason}"


@pytest.mark.parametrize(
    ("fault", "flags", "why"),
    [
        pytest.param("throttle", [], "429 TooManyRequestsException: Rate Exceeded.", id="refused"),
        pytest.param("drop", [], "the connection failed before the answer was complete: ", id="whole-broken-off"),
        pytest.param(
            "drop", ["--stream"], "the connection failed before the answer was complete: ", id="stream-broken-off"
        ),
    ],
)
async def test_the_next_event_may_fare_better_than_one_that_failed(
    tmp_path: Path, fault: str, flags: list[str], why: str
) -> None:
    files = [tmp_path / "2.json", tmp_path / "1.json"]
    for file in files:
        file.write_text("{}")
    async with local_lambda(each_answers(b"answer"), faults=fault) as local:
        done = await invoke(local, *flags, *map(str, files))
    assert (done.code, done.out) == (1, b"")
    lines = done.err.splitlines()
    assert [line.startswith(f"adapter: {file}: {why}") for line, file in zip(lines, files, strict=True)] == [True] * 2


async def test_where_nobody_answers_any_more_the_rest_is_not_tried_and_counted(tmp_path: Path) -> None:
    (tmp_path / "event").write_text("{}")

    async def answer_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.close()
        await reader.readuntil(b"\r\n\r\n")
        assert await reader.readexactly(2) == b"{}"
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nanswer")
        writer.close()

    server = await asyncio.start_server(answer_once, "127.0.0.1", 0)
    endpoint = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    done = await adapter("invoke", "--endpoint", endpoint, *[str(tmp_path / "event")] * 3)
    assert (done.code, done.out) == (1, b"answer")
    (line,) = done.err.splitlines()
    assert line.startswith(f"adapter: no answer from {endpoint} (nothing listens there)")
    assert line.endswith("; 2 of 3 events were not sent")


async def test_files_that_cannot_be_read_are_told_at_once_before_anything_is_invoked(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "event.json").write_text("{}")
    names = ["none", "event.json", "empty", "none-either"]
    async with local_lambda(each_answers(b"answer")) as local:
        done = await invoke(local, *(str(tmp_path / name) for name in names))
    assert (done.code, done.out) == (2, b"")
    assert done.err.splitlines() == [
        f"adapter: EVENT: '{tmp_path}/none' cannot be read: No such file or directory",
        f"adapter: EVENT: the folder '{tmp_path}/empty' has no .json file, so it contains no events or recordings",
        f"adapter: EVENT: '{tmp_path}/none-either' cannot be read: No such file or directory",
    ]


@pytest.mark.parametrize(
    "given",
    [
        pytest.param('{"a":1}', id="object"),
        pytest.param(' ["a"]', id="array"),
        pytest.param(json.dumps({"long": "x" * 5000}), id="longer-than-any-name"),
    ],
)
async def test_whoever_gives_an_event_for_a_file_is_told_to_pipe_it(given: str) -> None:
    done = await adapter("invoke", given)
    assert done.code == 2
    (line,) = done.err.splitlines()
    assert line.startswith("adapter: EVENT: ")
    assert line.endswith("; to pass an event itself, pipe it: echo … | adapter invoke -")


async def test_nobody_there_is_one_line_with_the_way_out() -> None:
    endpoint = f"http://127.0.0.1:{unused_port()}"
    done = await adapter("invoke", "--endpoint", endpoint, "-", given=b"{}")
    assert done.code == 1
    assert done.err.startswith(f"adapter: no answer from {endpoint} (nothing listens there)")
    assert "start adapter dev" in done.err


async def test_an_address_that_cannot_be_reached_is_told_from_one_where_nobody_listens() -> None:
    done = await adapter("invoke", "--endpoint", "http://255.255.255.255:3001", "-", given=b"{}")
    assert done.code == 1
    assert done.err.startswith("adapter: no answer from http://255.255.255.255:3001 (Network is unreachable); ")


async def test_a_host_that_is_not_known_is_told_from_one_where_nobody_listens() -> None:
    endpoint = "http://no-such-host.invalid:3001"
    # One query is enough if no name server answers.
    done = await adapter("invoke", "--endpoint", endpoint, "-", given=b"{}", RES_OPTIONS="timeout:1 attempts:1")
    assert done.code == 1
    assert done.err.startswith(f"adapter: no answer from {endpoint} (the host name is not known); ")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        pytest.param(["invoke", "/no/such/event.json"], "EVENT: '/no/such/event.json' cannot be read", id="no-file"),
        pytest.param(
            ["invoke", "-", "--endpoint", "https://x"],
            "--endpoint: 'https://x' is not the URL of a local",
            id="endpoint",
        ),
        pytest.param(["event", "sqss"], "KIND: 'sqss' is not a source of events; did you mean sqs?", id="kind"),
        pytest.param(["event", "alb", "--path", "x"], "--path: 'x' is not a path", id="path"),
        pytest.param(["event", "alb", "--header", "x"], "--header: 'x' is not a header", id="header"),
        pytest.param(
            ["event", "sqs", "--method", "GET"],
            "--method: an event of sqs does not use this flag; such an event uses --body, --name",
            id="not-http",
        ),
        pytest.param(
            ["event", "alb", "--name", "x"],
            "--name: an event of alb does not use this flag; such an event uses --body, --header, --method, --path",
            id="not-a-queue",
        ),
        pytest.param(
            ["event", "http-api", "--stage", "x"], "--stage: an event of http-api does not use this flag", id="no-stage"
        ),
        pytest.param(["event", "alb", "--body", "@/no/such"], "--body: '/no/such' cannot be read", id="body"),
    ],
)
async def test_a_mistake_is_one_line_and_exit_code_2(arguments: list[str], why: str) -> None:
    done = await adapter(*arguments, given=b"{}")
    assert done.code == 2
    (line,) = done.err.splitlines()
    assert line.startswith(f"adapter: {why}")


HEADERS = {"content-type": "text/plain"}
STREAMED = [prelude(statusCode=201, headers=HEADERS, cookies=["a=1"])[:-3], b"\0\0\0one ", b"two"]
WHOLE = json.dumps({"statusCode": 201, "headers": HEADERS, "body": "b25lIHR3bw==", "isBase64Encoded": True}).encode()
HEAD = "201 Created\ncontent-type: text/plain\nset-cookie: a=1\n\n"


async def stream(runtime: ScriptedRuntime) -> int:
    while True:
        upload = await runtime.stream(await runtime.next())
        for piece in STREAMED:
            await upload.write(piece)
        await upload.end()


async def whole(runtime: ScriptedRuntime) -> int:
    while True:
        await runtime.respond(await runtime.next(), WHOLE)


@pytest.mark.parametrize(
    ("script", "flags", "out"),
    [
        pytest.param(stream, ["--stream"], b"".join(STREAMED), id="streamed-as-it-is"),
        pytest.param(stream, ["--stream", "--body"], b"one two", id="streamed-body"),
        pytest.param(stream, ["--body"], b"one two", id="collected-body"),
        pytest.param(whole, [], WHOLE, id="whole-as-it-is"),
        pytest.param(whole, ["--body"], b"one two", id="whole-body"),
    ],
)
async def test_a_pipe_gets_the_payload_byte_for_byte_or_the_body_alone(
    script: Script, flags: list[str], out: bytes
) -> None:
    async with local_lambda(script) as local:
        done = await invoke(local, *flags, "-", given=b"{}")
        assert (done.code, done.out, done.err) == (0, out, "")


@pytest.mark.parametrize(
    ("script", "flags", "out", "err"),
    [
        pytest.param(stream, ["--stream"], b"one two\r\n", HEAD, id="streamed"),
        pytest.param(stream, ["--stream", "--body"], b"one two\r\n", "", id="streamed-body"),
        pytest.param(whole, [], WHOLE + b"\r\n", "", id="whole"),
    ],
)
async def test_a_terminal_gets_the_head_of_a_stream_decoded(
    script: Script, flags: list[str], out: bytes, err: str
) -> None:
    terminal, stdout = os.openpty()
    async with local_lambda(script) as local:
        process = await asyncio.create_subprocess_exec(
            *[sys.executable, "-I", "-m", "adapter", "invoke", *flags, "-"],
            env=environ() | {"ADAPTER_INVOKE_PORT": str(local.invoke_port)},
            stdin=asyncio.subprocess.PIPE,
            stdout=stdout,
            stderr=asyncio.subprocess.PIPE,
        )
        _, written = await process.communicate(b"{}")
        os.close(stdout)
        assert (os.read(terminal, 65536), written.decode()) == (out, err)
        os.close(terminal)


async def test_recordings_are_asked_again_and_compared(tmp_path: Path) -> None:
    answers = iter([b"same", b"same", b"other"])

    async def script(runtime: ScriptedRuntime) -> int:
        while True:
            upload = await runtime.stream(await runtime.next())
            await upload.write(prelude() + next(answers))
            await upload.end()

    async with local_lambda(script, record=str(tmp_path)) as local:
        await local.request("GET", "/x?y=1")
        await local.visit()
        file = only_file(tmp_path)
        once, again = [await invoke(local, str(file)) for _ in range(2)]
        assert once.err == f"adapter: {file}: the answer equals the recorded one\n"
        assert again.err == (
            f"adapter: {file}: the answer differs from the recorded one: "
            "the body from byte 0 on (length: 5 bytes instead of 4)\n"
        )
        assert (once.code, again.code) == (0, 1)
        assert once.out == prelude() + b"same"
        # A recorded stream is asked for as a stream.
        assert (await local.visit()).method == "InvokeWithResponseStream"


async def test_what_is_asked_again_is_not_recorded_again_and_the_function_is_not_told(tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    async with local_lambda(echo, record=str(folder)) as local:
        await invoke(local, "-", given=b'{"a": 1}')
        file = only_file(folder)
        for flags in ([], ["--stream"]):
            seen = json.loads((await invoke(local, *flags, str(folder))).out)
            assert seen["event"] == {"a": 1}
            assert "x-adapter-recording" not in seen["headers"]
        assert (await invoke(local, "--type", "Event", str(folder))).code == 0
        while "answered" not in (await local.visit()).target:
            pass
        assert only_file(folder) == file
        await invoke(local, "-", given=b'{"a": 1}')
        assert len(list(folder.iterdir())) == 2
    # A recorder with another folder records the new answers.
    other = tmp_path / "other"
    async with local_lambda(echo, record=str(other)) as local:
        await invoke(local, str(file))
        assert json.loads(only_file(other).read_text())["event"] == {"a": 1}


async def test_read_together_the_payload_and_what_is_said_of_it_are_two_lines(tmp_path: Path) -> None:
    record = {"adapterRecording": 1, "event": {}, "answer": {"kind": "payload", "bytes": 2, "body": "{}"}}
    (tmp_path / "1.json").write_text(json.dumps(record))

    async with local_lambda(each_answers(b"{}")) as local:
        process = await asyncio.create_subprocess_exec(
            *[sys.executable, "-I", "-m", "adapter", "invoke", str(tmp_path / "1.json")],
            env=environ() | {"ADAPTER_INVOKE_PORT": str(local.invoke_port)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        out, _ = await process.communicate()
    assert out.decode().splitlines() == ["{}", f"adapter: {tmp_path / '1.json'}: the answer equals the recorded one"]


async def test_without_a_reader_it_ends_silently_as_any_filter() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    async with local_lambda(echo) as local:
        process = await asyncio.create_subprocess_exec(
            *[sys.executable, "-I", "-m", "adapter", "invoke", "-"],
            env=environ() | {"ADAPTER_INVOKE_PORT": str(local.invoke_port)},
            stdin=asyncio.subprocess.PIPE,
            stdout=write_end,
            stderr=asyncio.subprocess.PIPE,
        )
        os.close(write_end)
        _, err = await process.communicate(b"{}")
    assert (process.returncode, err) == (141, b"")


@pytest.mark.parametrize("flags", [[], ["--stream"]], ids=["whole", "streamed"])
async def test_a_full_disk_is_not_taken_for_a_broken_answer(tmp_path: Path, flags: list[str]) -> None:
    (tmp_path / "event").write_text("{}")
    async with local_lambda(echo) as local:
        full = os.open("/dev/full", os.O_WRONLY)
        process = await asyncio.create_subprocess_exec(
            *[sys.executable, "-I", "-m", "adapter", "invoke", *flags, *[str(tmp_path / "event")] * 2],
            env=environ() | {"ADAPTER_INVOKE_PORT": str(local.invoke_port)},
            stdout=full,
            stderr=asyncio.subprocess.PIPE,
        )
        os.close(full)
        _, err = await process.communicate()
    assert (process.returncode, err) == (1, b"adapter: stdout cannot be written to: No space left on device\n")


async def test_a_front_door_is_told_from_an_invoke_api() -> None:
    async with local_lambda(each_answers(b'{"statusCode": 404}'), invoke_mode="buffered") as local:
        endpoint = f"http://127.0.0.1:{local.port}"
        done = await adapter("invoke", "--endpoint", endpoint, "-", given=b"{}")
    assert done.code == 1
    assert done.err.startswith(f"adapter: {endpoint} is not an Invoke API: it answers 404. ")


async def test_an_event_is_written_for_a_pipe(tmp_path: Path) -> None:
    (tmp_path / "order.json").write_text('{"id": 7}')
    flags = ["--method", "POST", "--path", "/orders?dry=1", "--header", "Content-Type: application/json"]
    done = await adapter("event", "http-api", *flags, "--body", f"@{tmp_path / 'order.json'}")
    assert done.code == 0
    event = json.loads(done.out)
    assert (event["rawPath"], event["rawQueryString"], event["body"]) == ("/orders", "dry=1", '{"id": 7}')
    async with local_lambda(echo) as local:
        assert json.loads((await invoke(local, "-", given=done.out)).out)["event"] == event


async def test_without_a_kind_the_kinds_are_listed() -> None:
    done = await adapter("event")
    assert {b"function-url", b"sqs", b"kinesis"} <= set(done.out.split())


async def test_a_message_has_no_password_of_the_endpoint() -> None:
    for url in ("http://me:secret@127.0.0.1:1", "ftp://me:secret@x"):
        done = await adapter("invoke", "-", "--endpoint", url, given=b"{}")
        assert done.code in (1, 2)
        assert done.err.startswith("adapter: ")
        assert "secret" not in done.err


async def test_a_line_about_an_answer_has_no_character_that_a_terminal_obeys(tmp_path: Path) -> None:
    file = tmp_path / "a\x1b[31m.json"
    file.write_text("{}")
    async with local_lambda(fail) as local:
        done = await invoke(local, str(file))
        assert "a\\x1b[31m.json: function error: " in done.err
        assert "\x1b" not in done.err
