"""Recordings: what is in the files, who may read them, and that they can be asked again."""

from __future__ import annotations

import asyncio
import json
import re
import resource
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from adapter.emulator.recording.recordings import NAME_PATTERN, InvokeInput, Recorder, event_files, read_input
from adapter.errors import ConfigurationError
from tests.emulator.aws_clients import lambda_client
from tests.emulator.scripted import ScriptedRuntime, local_lambda, prelude


async def stream(runtime: ScriptedRuntime) -> int:
    while True:
        upload = await runtime.stream(await runtime.next())
        for piece in (prelude(), b"one", b"\xff"):
            await upload.write(piece)
        await upload.end()


async def fail(runtime: ScriptedRuntime) -> int:
    while True:
        await runtime.fail(await runtime.next(), "Function.Broken", "it broke")


def recordings(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(file.read_text()) for file in sorted(folder.iterdir())]


def ignore(text: str, *, level: str = "info", reason: str = "") -> None:
    """A notice that no test looks at."""


def inputs(path: Path) -> list[InvokeInput]:
    return [read_input(file) for file in event_files((str(path),))]


async def test_a_recording_has_the_event_and_the_answer_secrets_included(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    async with local_lambda(stream, record=str(folder)) as local:
        await local.request("POST", "/x", b"hi", {"Authorization": "Bearer secret", "Content-Type": "text/plain"})
        record = await local.visit()
    (recording,) = recordings(folder)
    assert recording["adapterRecording"] == 1
    assert recording["source"] == "function-url"
    assert recording["event"]["headers"]["authorization"] == "Bearer secret"
    assert recording["event"]["body"] == "hi"
    assert recording["answer"]["kind"] == "stream"
    assert recording["answer"]["contentType"] == "application/vnd.awslambda.http-integration-response"
    assert recording["answer"]["bytes"] == len(prelude()) + record.streamed
    assert recording["answer"]["errorType"] is None
    (replay,) = inputs(folder)
    assert replay.was_streamed
    assert replay.recorded == prelude() + b"one\xff"
    assert json.loads(replay.event) == recording["event"]


async def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    folder = tmp_path / "recorded"
    async with local_lambda(stream, record=str(folder)) as local:
        await local.request("GET", "/")
        await local.visit()
    (file,) = folder.iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


async def test_its_name_is_one_by_which_recordings_are_known(tmp_path: Path) -> None:
    folder = tmp_path / "recorded"
    async with local_lambda(stream, record=str(folder)) as local:
        await local.request("GET", "/")
        record = await local.visit()
    (file,) = folder.iterdir()
    assert re.fullmatch(NAME_PATTERN, file.name)
    assert file.name.endswith(f"-{record.request_id[:8]}.json")


async def test_a_stream_that_was_cut_at_its_limit_is_recorded_with_the_reason(tmp_path: Path) -> None:
    async with local_lambda(stream, record=str(tmp_path), stream_limit="2") as local:
        assert (await local.request("GET", "/")).is_cut
        await local.visit()
    (recording,) = recordings(tmp_path)
    assert recording["answer"]["errorType"] == "Function.ResponseSizeTooLarge"


async def test_what_the_invoke_api_was_told_is_recorded_and_numbers_keep_their_digits(tmp_path: Path) -> None:
    async with local_lambda(fail, record=str(tmp_path)) as local:
        client = lambda_client(local.invoke_port)
        await asyncio.to_thread(
            client.invoke, FunctionName="any", Payload=b'{"n": 12345678901234567890123}', TenantId="tenant-1"
        )
        await local.visit()
    (recording,) = recordings(tmp_path)
    assert (recording["source"], recording["tenantId"]) == ("Invoke", "tenant-1")
    assert recording["event"] == {"n": 12345678901234567890123}
    assert (recording["answer"]["kind"], recording["answer"]["errorType"]) == ("failure", "Function.Broken")
    (replay,) = inputs(tmp_path)
    assert json.loads(replay.event) == {"n": 12345678901234567890123}
    assert replay.tenant_id == "tenant-1"


def test_a_folder_that_cannot_be_made_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot be created"):
        Recorder(str(tmp_path / "file"), ignore)


def test_an_event_is_taken_as_it_is_and_what_is_no_json_too(tmp_path: Path) -> None:
    (tmp_path / "1.json").write_bytes(b'{"a":  1}')
    (tmp_path / "2.json").write_bytes(b"no json")
    found = inputs(tmp_path)
    assert [replay.event for replay in found] == [b'{"a":  1}', b"no json"]
    assert all(replay.recorded is None for replay in found)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        pytest.param(None, "cannot be read", id="no-file"),
        pytest.param('{"adapterRecording": 2, "event": {}}', "another version", id="newer"),
        pytest.param('{"adapterRecording": 1}', "is not a valid recording", id="without-an-event"),
    ],
)
def test_what_cannot_be_asked_is_a_mistake(tmp_path: Path, content: str | None, why: str) -> None:
    file = tmp_path / "event.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigurationError, match=why):
        inputs(file)


def test_of_a_long_answer_only_the_beginning_is_kept_and_it_does_not_count_as_the_answer(tmp_path: Path) -> None:
    recording = {"adapterRecording": 1, "event": {}, "answer": {"kind": "payload", "bytes": 10, "body": "begin"}}
    (tmp_path / "1.json").write_text(json.dumps(recording))
    (replay,) = inputs(tmp_path)
    assert replay.recorded is None


def response(date: str, body: str, status: int = 200) -> bytes:
    return json.dumps({"statusCode": status, "headers": {"date": date}, "body": body}).encode()


@pytest.mark.parametrize(
    ("recorded", "received", "difference"),
    [
        pytest.param(b"raw", b"raw", "", id="bytes"),
        pytest.param(b"raw", b"row", "the body from byte 1 on (length: 3 bytes instead of 3)", id="other-bytes"),
        pytest.param(b"raw", b"ra", "the body from byte 2 on (length: 2 bytes instead of 3)", id="less"),
        pytest.param(
            b'{"a": 1}', b'{"a":1}', "the body from byte 5 on (length: 7 bytes instead of 8)", id="no-response"
        ),
        pytest.param(response("then", "x"), response("now", "x"), "", id="other-header-values"),
        pytest.param(
            response("then", "x"),
            response("now", "y"),
            "the body from byte 0 on (length: 1 bytes instead of 1)",
            id="other-body",
        ),
        pytest.param(response("then", "x"), response("now", "x", 201), "status 201 instead of 200", id="other-status"),
        pytest.param(
            response("then", "x"), b"x", "status none instead of 200; missing headers: date", id="no-response-now"
        ),
        pytest.param(
            prelude(headers={"date": "then"}) + b"x",
            prelude(headers={"etag": "1"}) + b"x",
            "missing headers: date; added headers: etag",
            id="other-header-names-streamed",
        ),
        pytest.param(
            prelude() + b"x",
            prelude() + b"y",
            "the body from byte 0 on (length: 1 bytes instead of 1)",
            id="other-body-streamed",
        ),
    ],
)
def test_status_names_of_headers_and_body_make_an_answer_the_recorded_one(
    tmp_path: Path, recorded: bytes, received: bytes, difference: str
) -> None:
    answer = {"kind": "payload", "bytes": len(recorded), "body": recorded.decode()}
    (tmp_path / "1.json").write_text(json.dumps({"adapterRecording": 1, "event": {}, "answer": answer}))
    (replay,) = inputs(tmp_path)
    assert replay.difference(received) == difference


def test_a_folder_without_events_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"EVENT: the folder '.*' has no \.json file"):
        inputs(tmp_path)


# --- privacy and full disks ---------------------------------------------------------------------------------------


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Make the kernel refuse to write more than ``size`` bytes to a file, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_what_does_not_fit_on_the_disk_leaves_no_part_and_is_an_error(tmp_path: Path) -> None:
    async with local_lambda(stream, record=str(tmp_path)) as local:
        with files_of_at_most(200):
            assert (await local.request("POST", "/x", b"x" * 1000)).status == 200
            await local.visit()
        assert recordings(tmp_path) == []
        [notice] = [text for text in local.levels if "cannot be written: File too large" in text]
        assert local.levels[notice] == "error"
        assert (await local.request("POST", "/x", b"x" * 1000)).status == 200
        await local.visit()
    assert len(recordings(tmp_path)) == 1


async def test_only_the_owner_can_read_files_and_folder(tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    folder.mkdir(mode=0o755)
    async with local_lambda(stream, record=str(folder)) as local:
        await local.request("GET", "/x")
        await local.visit()
        assert not [text for text in local.levels if "--record" in text]
    [file] = sorted(folder.iterdir())
    assert re.fullmatch(NAME_PATTERN, file.name)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (folder, file)] == [0o700, 0o600]
    # A folder with recordings is still ours.
    folder.chmod(0o777)
    Recorder(str(folder), ignore)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_folder_with_other_files_keeps_its_mode_and_is_warned_of(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "main.py").touch()
    notices = []

    def notice(text: str, *, level: str = "info", reason: str = "") -> None:
        notices.append((level, text))

    Recorder(str(tmp_path), notice)
    [(level, text)] = notices
    assert level == "warn"
    assert "mode 755" in text
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755
