"""AWS's own clients against ``adapter dev`` with a real app in it: boto3, the AWS CLI and the SDK for JavaScript.

Each of them invokes, streams and is refused. That pieces are not held back is shown by an app that produces one only
when it is permitted to, which a test does once the client has shown the one before.
"""

from __future__ import annotations

import base64
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from adapter.emulator.commands.event import EventOptions, make_event
from adapter.payload.function_response import DELIMITER
from tests.apps import app_command, app_dir
from tests.e2e.aws_tools import aws_cli, node_with_sdk
from tests.e2e.local_lambda import LocalLambda, local_lambda
from tests.e2e.output import PATIENCE
from tests.emulator.aws_clients import lambda_client

SCRIPT = Path(__file__).parent / "clients" / "invoke.mjs"
PERMITTED = Path(__file__).parent / "permitted"
# Installing a client takes its time, once.
pytestmark = pytest.mark.timeout(300)

ROOT = json.dumps(make_event("function-url", EventOptions(path="/"))).encode()
STREAM = json.dumps(make_event("function-url", EventOptions(path="/stream"))).encode()
CRASH = json.dumps(make_event("function-url", EventOptions(path="/crash-midstream?bytes=251"))).encode()


@pytest.fixture(scope="module")
def local() -> Iterator[LocalLambda]:
    """Yield the FastAPI example, streaming."""
    with local_lambda(*app_command("fastapi"), directory=app_dir("fastapi")) as running:
        yield running


@contextmanager
def permitted() -> Iterator[tuple[LocalLambda, socket.socket]]:
    """Yield an app that waits for permissions, and the socket on which it will ask for them."""
    command = [sys.executable, "-m", "uvicorn", "fastapi_app:app", "--port", "{port}"]
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        listener.settimeout(PATIENCE)
        port = str(listener.getsockname()[1])
        with local_lambda(*command, directory=PERMITTED, PERMISSIONS=port) as running:
            yield running, listener


def body_of(payload: bytes) -> bytes:
    """Return the body in a streamed HTTP response."""
    return payload.partition(DELIMITER)[2]


# --- boto3 -------------------------------------------------------------------------------------------------------


def test_boto3_invokes_and_gets_the_whole_payload_with_the_log(local: LocalLambda) -> None:
    answer = lambda_client(local.invoke_port).invoke(FunctionName="any", Payload=ROOT, LogType="Tail")
    assert (answer["StatusCode"], answer["ExecutedVersion"]) == (200, "$LATEST")
    assert json.loads(body_of(answer["Payload"].read()))["framework"] == "fastapi"
    log = base64.b64decode(answer["LogResult"]).decode()
    request_id = answer["ResponseMetadata"]["RequestId"]
    assert f"START RequestId: {request_id} Version: $LATEST" in log
    assert f"REPORT RequestId: {request_id}\tDuration: " in log


def test_boto3_gets_each_piece_as_the_app_sends_it() -> None:
    with permitted() as (running, listener):
        client = lambda_client(running.invoke_port)
        events = iter(client.invoke_with_response_stream(FunctionName="any", Payload=STREAM)["EventStream"])
        permissions, _ = listener.accept()
        seen = b""
        with permissions:
            for number in range(1, 6):
                asked = time.monotonic()
                permissions.send(b".")
                while not seen.endswith(b"piece %d\n" % number):
                    seen += next(events)["PayloadChunk"]["Payload"]
                # A piece that waited for the next one, or for a timer, would have waited for ever, or for long.
                assert time.monotonic() - asked < 1.0
        assert list(events) == [{"InvokeComplete": {}}]
        assert body_of(seen) == b"".join(b"piece %d\n" % number for number in range(1, 6))


def test_boto3_is_told_of_a_crash_after_the_pieces_before_it(local: LocalLambda) -> None:
    client = lambda_client(local.invoke_port)
    *pieces, last = client.invoke_with_response_stream(FunctionName="any", Payload=CRASH)["EventStream"]
    payload = b"".join(piece["PayloadChunk"]["Payload"] for piece in pieces)
    assert body_of(payload) == bytes(range(251))
    assert last["InvokeComplete"]["ErrorCode"] == "Function.TruncatedResponse"
    assert "errorMessage" in json.loads(last["InvokeComplete"]["ErrorDetails"])


def test_boto3_raises_its_own_exceptions(local: LocalLambda) -> None:
    client = lambda_client(local.invoke_port)
    with pytest.raises(client.exceptions.InvalidRequestContentException):
        client.invoke(FunctionName="any", Payload=b"no json")
    with pytest.raises(ClientError, match="RequestEntityTooLargeException"):
        client.invoke(FunctionName="any", Payload=b'"' + b"x" * 6 * 1024 * 1024 + b'"')


def test_boto3_is_throttled_and_does_not_find_another_function() -> None:
    flags = ("--function-name", "shop", "--fault", "throttle@x-fault", "--fault", "delay=0")
    with local_lambda(*app_command("flask"), directory=app_dir("flask"), flags=flags) as running:
        client = lambda_client(running.invoke_port)
        with pytest.raises(client.exceptions.ResourceNotFoundException, match="Function not found: arn:aws:lambda:"):
            client.invoke(FunctionName="store")

        def with_fault(request: Any, **_: Any) -> None:
            request.headers["x-fault"] = "1"

        client.meta.events.register("before-sign.lambda.Invoke", with_fault)
        with pytest.raises(client.exceptions.TooManyRequestsException):
            client.invoke(FunctionName="shop")


# --- the AWS CLI -------------------------------------------------------------------------------------------------


def run_aws(running: LocalLambda, tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """``aws lambda ARGUMENTS`` with made-up keys and no configuration of the user's."""
    environ = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
        "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "example",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_MAX_ATTEMPTS": "1",
    }
    command = [str(aws_cli()), "--endpoint-url", f"http://127.0.0.1:{running.invoke_port}", "lambda", *arguments]
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=60)


def test_the_aws_cli_invokes(local: LocalLambda, tmp_path: Path) -> None:
    outfile = tmp_path / "out"
    event = tmp_path / "event.json"
    event.write_bytes(ROOT)
    done = run_aws(
        local, tmp_path, "invoke", "--function-name", "any", "--payload", f"file://{event}", "--log-type", "Tail",
        str(outfile),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert (answer["StatusCode"], answer["ExecutedVersion"]) == (200, "$LATEST")
    assert "START RequestId:" in base64.b64decode(answer["LogResult"]).decode()
    assert json.loads(body_of(outfile.read_bytes()))["framework"] == "fastapi"


def test_the_command_of_the_start_message_invokes(local: LocalLambda, tmp_path: Path) -> None:
    command = local.output.wait_for("aws lambda invoke").partition(" invoke ")[2]
    path = f"{Path(sys.executable).parent}:{aws_cli().parent}:/usr/bin:/bin"
    environ = {"PATH": path, "HOME": str(tmp_path)}
    done = subprocess.run(["sh", "-c", command], env=environ, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert '"framework":"fastapi"' in done.stdout


def test_the_aws_cli_is_refused_with_lambdas_words(local: LocalLambda, tmp_path: Path) -> None:
    done = run_aws(local, tmp_path, "invoke", "--function-name", "any", "--payload", "no json", str(tmp_path / "out"))
    assert done.returncode != 0
    assert "(InvalidRequestContentException) when calling the Invoke operation" in done.stderr


def test_the_aws_cli_queues_an_event(local: LocalLambda, tmp_path: Path) -> None:
    done = run_aws(
        local, tmp_path, "invoke", "--function-name", "any", "--invocation-type", "Event", "--payload",
        '{"Records": []}', str(tmp_path / "out"),
    )  # fmt: skip
    assert json.loads(done.stdout) == {"StatusCode": 202}
    local.output.wait_for("Event any, answered")


# --- the SDK for JavaScript --------------------------------------------------------------------------------------


def node_command(running: LocalLambda, action: str, event: bytes) -> list[str]:
    node, folder = node_with_sdk()
    return [node, str(SCRIPT), str(folder), f"http://127.0.0.1:{running.invoke_port}", action, event.decode()]


def run_node(running: LocalLambda, action: str, event: bytes) -> list[dict[str, Any]]:
    """What the script saw."""
    done = subprocess.run(node_command(running, action, event), capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_javascript_invokes(local: LocalLambda) -> None:
    (seen,) = run_node(local, "invoke", ROOT)
    assert (seen["status"], seen["version"]) == (200, "$LATEST")
    assert "REPORT RequestId:" in seen["log"]
    assert json.loads(body_of(seen["payload"].encode()))["framework"] == "fastapi"


def test_javascript_gets_each_piece_as_the_app_sends_it() -> None:
    with permitted() as (running, listener):
        command = node_command(running, "stream", STREAM)
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as node:
            assert node.stdout is not None
            permissions, _ = listener.accept()
            seen = ""
            with permissions:
                for number in range(1, 6):
                    permissions.send(b".")
                    while not seen.endswith(f"piece {number}\n"):
                        seen += json.loads(node.stdout.readline())["chunk"]
            assert [json.loads(line) for line in node.stdout] == [{"complete": {}}]
            assert node.wait(PATIENCE) == 0


def test_javascript_is_told_of_a_crash_after_the_pieces_before_it(local: LocalLambda) -> None:
    *pieces, last = run_node(local, "stream", CRASH)
    assert pieces
    assert all("chunk" in piece for piece in pieces)
    assert last["complete"]["ErrorCode"] == "Function.TruncatedResponse"


@pytest.mark.parametrize("action", ["invoke", "stream"])
def test_javascript_throws_its_own_exceptions(local: LocalLambda, action: str) -> None:
    (seen,) = run_node(local, action, b"no json")
    assert (seen["thrown"], seen["status"]) == ("InvalidRequestContentException", 400)
