"""Runtimes that are not ours, on the local Lambda: AWS's clients for Python and Node, and a shell script with curl."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import pytest

from tests.answer import Answer
from tests.e2e.local_lambda import LocalLambda, local_lambda
from tests.emulator.real_runtimes import INSTALLATION, aws_lambda_ric, awslambdaric

pytestmark = pytest.mark.timeout(INSTALLATION)

PYTHON_FUNCTION = """
import time

def handler(event, context):
    print("a line of", context.aws_request_id)
    path = event["rawPath"]
    if path == "/raise":
        raise ValueError("not today")
    if path == "/exit":
        raise SystemExit(3)
    if path == "/large":
        return {"statusCode": 200, "body": "x" * 6_291_600}
    if path == "/sleep":
        time.sleep(60)
    told = {
        "event": event["requestContext"]["http"]["method"],
        "arn": context.invoked_function_arn,
        "memory": context.memory_limit_in_mb,
        "remaining": context.get_remaining_time_in_millis(),
        "stream": context.log_stream_name,
    }
    import json
    return {"statusCode": 201, "headers": {"x-path": path}, "body": json.dumps(told)}
"""

NODE_FUNCTION = """
export const handler = awslambda.streamifyResponse(async (event, output, context) => {
  const metadata = { statusCode: 202, headers: { 'x-path': event.rawPath }, cookies: ['a=1', 'b=2'] };
  if (event.rawPath === '/early') throw new TypeError('before the response');
  const stream = awslambda.HttpResponseStream.from(output, metadata);
  stream.write('one ');
  if (event.rawPath === '/throw') {
    await new Promise((resolve) => setTimeout(resolve, 50));
    throw new RangeError('amid the response');
  }
  if (event.rawPath === '/large') for (let i = 0; i < 30; i++) {
    if (!stream.write(Buffer.alloc(65536, i))) await new Promise((resolve) => stream.once('drain', resolve));
  }
  stream.end('two');
});
"""

SHELL_RUNTIME = """#!/bin/sh
set -eu
api="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime"
while :; do
  event=$(curl -sS -D "$HEADS" "$api/invocation/next")
  id=$(tr -d '\\r' < "$HEADS" | sed -n 's/^[Ll]ambda-[Rr]untime-[Aa]ws-[Rr]equest-[Ii]d: //p')
  case $event in
    *'"rawPath":"/fail"'*)
      curl -sS -o /dev/null -H 'Lambda-Runtime-Function-Error-Type: Function.Refused' \\
        -d '{"errorMessage":"no","errorType":"Function.Refused"}' "$api/invocation/$id/error" ;;
    *'"rawPath":"/stream"'*)
      { printf '{"statusCode":206}\\0\\0\\0\\0\\0\\0\\0\\0'; printf 'a shell streams'; } |
        curl -sS -o /dev/null -H 'Transfer-Encoding: chunked' -T - -X POST \\
          -H 'Lambda-Runtime-Function-Response-Mode: streaming' \\
          -H 'Content-Type: application/vnd.awslambda.http-integration-response' "$api/invocation/$id/response" ;;
    *) curl -sS -o /dev/null -d '{"statusCode":203,"body":"a shell answers"}' "$api/invocation/$id/response" ;;
  esac
done
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(PYTHON_FUNCTION)
    (tmp_path / "app.mjs").write_text(NODE_FUNCTION)
    (tmp_path / "bootstrap").write_text(SHELL_RUNTIME)
    (tmp_path / "bootstrap").chmod(0o755)
    return tmp_path


def python_flags(*flags: str) -> tuple[str, ...]:
    return ("--runtime", f"{awslambdaric()} -m awslambdaric app.handler", *flags)


def failed(local: LocalLambda, path: str, error_type: str) -> Answer:
    """Ask for ``path``, which is to be a function error of that type."""
    reply = local.ask(path)
    assert error_type in local.output.wait_for(f"GET {path} ")
    return reply


def test_the_python_client_answers_and_knows_its_context(folder: Path) -> None:
    flags = python_flags("--invoke-mode", "buffered", "--memory", "512", "--function-name", "shop", "--timeout", "7")
    with local_lambda(directory=folder, flags=flags, _HANDLER="app.handler") as local:
        reply = local.ask("/hello", method="PUT")
        assert (reply.status, reply.all("x-path")) == (201, ["/hello"])
        told = json.loads(reply.body)
        assert told["event"] == "PUT"
        assert told["arn"] == "arn:aws:lambda:us-east-1:123456789012:function:shop"
        assert told["memory"] == "512"
        assert 0 < told["remaining"] <= 7000
        assert told["stream"].startswith("local/[$LATEST]")


def test_errors_of_python_functions_are_those_of_lambda(folder: Path) -> None:
    with local_lambda(directory=folder, flags=python_flags("--invoke-mode", "buffered", "--timeout", "2")) as local:
        # The client names the exception's class, which the sandbox does not pass on.
        assert failed(local, "/raise", "Runtime.Unknown: not today").status == 502
        assert failed(local, "/large", "Function.ResponseSizeTooLarge").status == 502
        assert failed(local, "/exit", "Runtime.ExitError").status == 502
        assert failed(local, "/sleep", "Task timed out after 2.00 seconds").status == 502
        # And after all of that the next one works.
        assert local.ask("/").status == 201


def test_the_python_client_restores_a_snapshot(folder: Path) -> None:
    flags = python_flags("--invoke-mode", "buffered", "--snapstart", "--warm", "--invocation-log", "cloudwatch")
    (folder / "app.py").write_text(
        "import sys\n"
        "from snapshot_restore_py import register_after_restore, register_before_snapshot\n"
        "register_before_snapshot(lambda: sys.stderr.write('before the snapshot\\n'))\n"
        "register_after_restore(lambda: sys.stderr.write('after the restore\\n'))\n" + PYTHON_FUNCTION
    )
    with local_lambda(directory=folder, flags=flags) as local:
        local.output.wait_for("before the snapshot")
        local.output.wait_for("the snapshot is ready")
        assert "after the restore" not in local.output.text
        assert local.ask("/").status == 201
        local.output.wait_for("RESTORE_START")
        local.output.wait_for("after the restore")
        assert "Restore Duration: " in local.output.wait_for("REPORT RequestId")


def test_the_node_client_streams_metadata_pieces_and_cookies(folder: Path) -> None:
    flags = ("--runtime", f"node {aws_lambda_ric()} app.handler", "--bandwidth", "unlimited")
    with local_lambda(directory=folder, flags=flags, _HANDLER="app.handler") as local:
        reply = local.ask("/hello")
        assert (reply.status, reply.body, reply.is_cut) == (202, b"one two", False)
        assert (reply.all("x-path"), reply.all("set-cookie")) == (["/hello"], ["a=1", "b=2"])
        large = local.ask("/large").body
        assert large == b"one " + b"".join(bytes([number]) * 65536 for number in range(30)) + b"two"


def test_a_throw_in_node_is_reported_in_trailers_also_before_the_first_byte(folder: Path) -> None:
    flags = ("--runtime", f"node {aws_lambda_ric()} app.handler")
    with local_lambda(directory=folder, flags=flags, _HANDLER="app.handler") as local:
        cut = failed(local, "/throw", "amid the response")
        assert (cut.status, cut.body, cut.is_cut) == (202, b"one ", True)
        # The client has begun a response by then, but nothing of it is there: the front door can still say so.
        early = failed(local, "/early", "before the response")
        assert (early.status, early.body, early.is_cut) == (502, b"Internal Server Error", False)
        assert not local.ask("/hello").is_cut


def test_a_shell_script_with_curl_is_a_runtime(folder: Path) -> None:
    assert shutil.which("curl"), "the test needs curl; on Debian: apt-get install curl"
    flags = ("--runtime", shlex.quote(str(folder / "bootstrap")))
    with local_lambda(directory=folder, flags=flags, HEADS=str(folder / "heads")) as local:
        streamed = local.ask("/stream")
        assert (streamed.status, streamed.body) == (206, b"a shell streams")
        assert failed(local, "/fail", "Function.Refused: no").status == 502
    buffered = (*flags, "--invoke-mode", "buffered")
    with local_lambda(directory=folder, flags=buffered, HEADS=str(folder / "heads")) as local:
        reply = local.ask("/")
        assert (reply.status, reply.body) == (203, b"a shell answers")
