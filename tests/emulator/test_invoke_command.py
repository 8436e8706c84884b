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
        seen = {"event": handed.event, "headers": {name.lower(): value for name, value in handed.response.headers}}
        await runtime.respond(handed, json.dumps(seen).encode())


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
            "adapter: 400 InvalidRequestContentException: Could not parse request body into json"
        )
        assert len(done.err.splitlines()) == 1


async def test_nobody_there_is_one_line_with_the_way_out() -> None:
    endpoint = f"http://127.0.0.1:{unused_port()}"
    done = await adapter("invoke", "--endpoint", endpoint, "-", given=b"{}")
    assert done.code == 1
    assert done.err.startswith(f"adapter: no answer from {endpoint} (nobody listens there)")
    assert "start adapter dev" in done.err


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        pytest.param(["invoke", "/no/such/event.json"], "EVENT: '/no/such/event.json' cannot be read", id="no-file"),
        pytest.param(["invoke", "-", "--endpoint", "https://x"], "--endpoint: 'https://x' is no local", id="endpoint"),
        pytest.param(["event", "sqss"], "KIND: 'sqss' is not a source of events; did you mean sqs?", id="kind"),
        pytest.param(["event", "alb", "--path", "x"], "--path: 'x' is not a path", id="path"),
        pytest.param(["event", "alb", "--header", "x"], "--header: 'x' is not a header", id="header"),
        pytest.param(
            ["event", "sqs", "--method", "GET"],
            "--method: an event of sqs has none; its flags are --body, --name",
            id="not-http",
        ),
        pytest.param(
            ["event", "alb", "--name", "x"],
            "--name: an event of alb has none; its flags are --body, --header, --method, --path",
            id="not-a-queue",
        ),
        pytest.param(["event", "http-api", "--stage", "x"], "--stage: an event of http-api has none", id="no-stage"),
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
        _, said = await process.communicate(b"{}")
        os.close(stdout)
        assert (os.read(terminal, 65536), said.decode()) == (out, err)
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
        assert once.err == f"adapter: {file}: the answer is the recorded one\n"
        assert again.err == (
            f"adapter: {file}: the answer differs from the recorded one: the body at byte 0 (5 bytes instead of 4)\n"
        )
        assert (once.code, again.code) == (0, 1)
        assert once.out == prelude() + b"same"
        # A recorded stream is asked for as a stream.
        assert (await local.visit()).method == "InvokeWithResponseStream"


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
    assert out.decode().splitlines() == ["{}", f"adapter: {tmp_path / '1.json'}: the answer is the recorded one"]


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


async def test_a_front_door_is_told_from_an_invoke_api() -> None:
    async with local_lambda(each_answers(b'{"statusCode": 404}'), invoke_mode="buffered") as local:
        endpoint = f"http://127.0.0.1:{local.port}"
        done = await adapter("invoke", "--endpoint", endpoint, "-", given=b"{}")
    assert done.code == 1
    assert done.err.startswith(f"adapter: {endpoint} is no Invoke API: it answers 404. ")


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
