"""The Invoke APIs: boto3 and raw requests on one side, scripted runtimes on the other, real sockets between them."""

from __future__ import annotations

import asyncio
import base64
import json

import pytest
from botocore.exceptions import ClientError

from adapter.aws.limits import BUFFERED_RESPONSE_LIMIT, REQUEST_LIMIT
from tests.emulator.invoking import INVOKE, STREAM, ask, echo, invoke, invoke_streaming
from tests.emulator.scripted import Handed, Script, ScriptedRuntime, chunk, local_lambda, prelude
from tests.emulator.scripts import each, fail, streaming
from tests.raw_client import RawClient, head

MIB = 1024 * 1024


# --- Invoke ------------------------------------------------------------------------------------------------------


async def test_invoke_gives_the_payload_and_says_which_version_answered() -> None:
    async with local_lambda(each(echo)) as local:
        answer = await invoke(local, Payload=b'{"a": 1}')
        assert (answer["StatusCode"], answer["ExecutedVersion"]) == (200, "$LATEST")
        assert "FunctionError" not in answer
        assert "LogResult" not in answer
        assert json.loads(answer["Payload"])["event"] == {"a": 1}
        assert answer["ResponseMetadata"]["RequestId"]
        record = await local.visit()
        assert (record.method, record.target, record.status) == ("Invoke", "any", 200)


async def test_the_function_is_told_what_the_caller_said() -> None:
    context = base64.b64encode(b'{"custom": {"k": "\xc3\xbc"}}').decode()
    async with local_lambda(each(echo)) as local:
        answer = await invoke(
            local, FunctionName="shop", Qualifier="7", ClientContext=context, TenantId="tenant-1", Payload=b"[]"
        )
        headers = json.loads(answer["Payload"])["headers"]
        assert json.loads(headers["lambda-runtime-client-context"]) == {"custom": {"k": "ü"}}
        assert headers["lambda-runtime-aws-tenant-id"] == "tenant-1"
        assert headers["lambda-runtime-aws-request-id"] == answer["ResponseMetadata"]["RequestId"]
        assert headers["lambda-runtime-invoked-function-arn"] == "arn:aws:lambda:us-east-1:123456789012:function:shop:7"
        assert answer["ExecutedVersion"] == "7"


async def test_a_call_without_a_payload_is_an_empty_object() -> None:
    async with local_lambda(each(echo)) as local:
        assert json.loads((await invoke(local))["Payload"])["event"] == {}


async def test_a_function_error_is_a_200_that_says_so() -> None:
    async with local_lambda(each(fail)) as local:
        answer = await invoke(local)
        assert (answer["StatusCode"], answer["FunctionError"]) == (200, "Unhandled")
        assert json.loads(answer["Payload"]) == {"errorType": "Function.Broken", "errorMessage": "it broke"}
        assert (await local.visit()).error_type == "Function.Broken"


async def test_an_exit_is_told_in_lambdas_words() -> None:
    async def script(runtime: ScriptedRuntime) -> int:
        await runtime.next()
        return 3

    async with local_lambda(script) as local:
        answer = await invoke(local)
        request_id = answer["ResponseMetadata"]["RequestId"]
        assert answer["FunctionError"] == "Unhandled"
        assert json.loads(answer["Payload"]) == {
            "errorType": "Runtime.ExitError",
            "errorMessage": f"RequestId: {request_id} Error: Runtime exited with error: exit status 3",
        }


async def test_a_timeout_is_told_in_lambdas_words() -> None:
    async def script(runtime: ScriptedRuntime) -> int:
        await runtime.next()
        await asyncio.Event().wait()
        return 0

    async with local_lambda(script, timeout="0.05") as local:
        answer = await invoke(local)
        assert answer["FunctionError"] == "Unhandled"
        assert json.loads(answer["Payload"])["errorMessage"].endswith("Task timed out after 0.05 seconds")


async def test_a_payload_over_the_limit_is_told_in_lambdas_words() -> None:
    async def serve(runtime: ScriptedRuntime, handed: Handed) -> None:
        await runtime.respond(handed, b'"' + b"x" * (BUFFERED_RESPONSE_LIMIT - 1) + b'"')

    async with local_lambda(each(serve)) as local:
        answer = await invoke(local)
        assert answer["FunctionError"] == "Unhandled"
        assert json.loads(answer["Payload"]) == {
            "errorType": "Function.ResponseSizeTooLarge",
            "errorMessage": "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
        }


async def test_a_streaming_functions_payload_comes_as_it_was_written() -> None:
    async with local_lambda(streaming(prelude(statusCode=201), b"one", b"two")) as local:
        answer = await invoke(local)
        assert answer["Payload"] == prelude(statusCode=201) + b"onetwo"
        assert "FunctionError" not in answer


@pytest.mark.parametrize(
    ("script", "error_type"),
    [
        pytest.param(streaming(bytes(6 * MIB), bytes(101)), "Function.ResponseSizeTooLarge", id="too-large"),
        pytest.param(
            streaming(
                b"part",
                trailers="Lambda-Runtime-Function-Error-Type: Function.X\r\n",
                Trailer="Lambda-Runtime-Function-Error-Type",
            ),
            None,
            id="error-trailers",
        ),
    ],
)
async def test_a_stream_that_ends_badly_fails_the_whole_call(script: Script, error_type: str | None) -> None:
    async with local_lambda(script) as local:
        answer = await invoke(local)
        assert answer["FunctionError"] == "Unhandled"
        if error_type is not None:
            assert json.loads(answer["Payload"])["errorType"] == error_type


async def test_dry_run_starts_nothing() -> None:
    async with local_lambda(each(echo)) as local:
        assert (await invoke(local, InvocationType="DryRun"))["StatusCode"] == 204
        assert local.starts == 0


async def test_a_tail_of_the_log_is_there_on_demand() -> None:
    async with local_lambda(each(echo)) as local:
        answer = await invoke(local, LogType="Tail")
        log = base64.b64decode(answer["LogResult"]).decode()
        request_id = answer["ResponseMetadata"]["RequestId"]
        assert f"START RequestId: {request_id}" in log
        assert f"REPORT RequestId: {request_id}" in log
        (complete,) = (await invoke_streaming(local, LogType="Tail"))[1:]
        assert "REPORT RequestId:" in base64.b64decode(complete["InvokeComplete"]["LogResult"]).decode()


# --- what is refused ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [INVOKE, STREAM], ids=["invoke", "stream"])
@pytest.mark.parametrize(
    ("function", "body", "headers", "status", "error_type", "message"),
    [
        pytest.param(
            "any",
            b"no json",
            {},
            400,
            "InvalidRequestContentException",
            "Could not parse request body into json",
            id="not-json",
        ),
        pytest.param("any", b"[NaN]", {}, 400, "InvalidRequestContentException", "NaN is not JSON", id="not-a-number"),
        pytest.param(
            "any",
            b'"' + b"x" * REQUEST_LIMIT + b'"',
            {},
            413,
            "RequestEntityTooLargeException",
            "Request must be smaller than 6291456 bytes for the InvokeFunction operation",
            id="too-large",
        ),
        pytest.param(
            "any",
            b"{}",
            {"X-Amz-Client-Context": "???"},
            400,
            "InvalidRequestContentException",
            "Client context must be a valid Base64-encoded JSON object.",
            id="client-context",
        ),
        pytest.param(
            "any",
            b"{}",
            {"X-Amz-Invocation-Type": "Never"},
            400,
            "InvalidParameterValueException",
            "Value 'Never' at 'invocationType'",
            id="invocation-type",
        ),
        pytest.param("a.b", b"{}", {}, 400, "ValidationException", "'a.b': a function name", id="function-name"),
        pytest.param(
            "any:1",
            b"{}",
            {"query": "?Qualifier=2"},
            400,
            "InvalidParameterValueException",
            "derived qualifier",
            id="two-qualifiers",
        ),
    ],
)
async def test_what_lambda_refuses_is_refused_with_its_own_json(
    path: str, function: str, body: bytes, headers: dict[str, str], status: int, error_type: str, message: str
) -> None:
    query = headers.get("query", "")
    sent = {name: value for name, value in headers.items() if name != "query"}
    async with local_lambda(each(echo)) as local:
        response = await ask(local, path.format(function) + query, body, sent)
        assert response.status == status
        assert response.header("x-amzn-errortype") == error_type
        assert response.header("x-amzn-requestid")
        error = response.json()
        assert error["Type"] == "User"
        assert message in (error.get("Message") or error["message"])
        assert (await local.visit()).error_type == error_type
        assert local.starts == 0


@pytest.mark.parametrize(
    "function",
    [
        pytest.param("shop", id="name"),
        pytest.param("shop:live", id="name-and-alias"),
        pytest.param("123456789012:function:shop", id="partial-arn"),
        pytest.param("arn:aws:lambda:eu-west-1:123456789012:function:shop:$LATEST", id="arn"),
    ],
)
async def test_a_function_may_be_named_in_every_way_that_aws_knows(function: str) -> None:
    async with local_lambda(each(echo), dev_function_name="shop") as local:
        assert (await invoke(local, FunctionName=function))["StatusCode"] == 200
        assert (await local.visit()).target == "shop"


async def test_another_name_than_the_chosen_one_is_not_found() -> None:
    async with local_lambda(each(echo), dev_function_name="shop") as local:
        with pytest.raises(ClientError) as refused:
            await invoke(local, FunctionName="store")
        error = refused.value.response["Error"]
        assert error["Code"] == "ResourceNotFoundException"
        assert error["Message"] == "Function not found: arn:aws:lambda:us-east-1:123456789012:function:store"
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404


async def test_a_throttled_call_is_a_429() -> None:
    async with local_lambda(each(echo), faults="throttle") as local:
        with pytest.raises(ClientError) as refused:
            await invoke(local)
        assert refused.value.response["Error"]["Code"] == "TooManyRequestsException"
        assert refused.value.response["Error"]["Message"] == "Rate Exceeded."
        response = await ask(local, STREAM.format("any"))
        assert response.status == 429
        assert response.json()["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", INVOKE.format("any")), ("POST", "/2015-03-31/functions/any"), ("GET", "/")],
    ids=["wrong-method", "other-action", "root"],
)
async def test_other_actions_are_not_known(method: str, path: str) -> None:
    async with local_lambda(each(echo)) as local:
        response = await ask(local, path, b"", method=method)
        assert (response.status, response.header("x-amzn-errortype")) == (404, "UnknownOperationException")


async def test_a_caller_that_leaves_within_its_request_invokes_nothing() -> None:
    async with local_lambda(each(echo)) as local:
        client = await RawClient.connect(local.invoke_port)
        await client.send(head("POST", INVOKE.format("any"), {"Content-Length": "10"}) + b"half")
        client.abort()
        assert (await local.visit()).client_left
        assert local.starts == 0


async def test_a_chunked_request_is_read_to_its_end() -> None:
    async with local_lambda(each(echo)) as local:
        client = await RawClient.connect(local.invoke_port)
        await client.send(head("POST", INVOKE.format("any"), {"Transfer-Encoding": "chunked"}))
        await client.send(chunk(b'{"a"') + chunk(b": 1}") + chunk(b""))
        assert (await client.answer()).json()["event"] == {"a": 1}
        await client.close()


# --- the log ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "header", "status"),
    [
        pytest.param("/x?token=secret", "", 404, id="another-operation"),
        pytest.param(f"{INVOKE.format('any')}?x=secret", "X-Amz-Invocation-Type: secret", 400, id="type"),
        pytest.param(f"{INVOKE.format('a:1')}?Qualifier=secret", "", 400, id="qualifier"),
        pytest.param(f"{INVOKE.format('any')}?x=secret", "X-Amz-Client-Context: secret", 400, id="context"),
        pytest.param(f"{INVOKE.format('a%20b')}?x=secret", "", 400, id="name"),
    ],
)
async def test_the_log_has_no_query_and_no_header_value(target: str, header: str, status: int) -> None:
    async with local_lambda(each(echo)) as local:
        headers = dict([header.split(": ")]) if header else {}
        client = await RawClient.connect(local.invoke_port)
        answer = await client.request("POST", target, b"{}", headers)
        await client.close()
        record = await local.visit()
    assert (answer.status, record.status, record.refused) == (status, status, True)
    assert "secret" not in repr(record)
    assert record.error_message


async def test_a_message_quotes_only_a_part_of_a_long_value() -> None:
    async with local_lambda(each(echo)) as local:
        client = await RawClient.connect(local.invoke_port)
        answer = await client.request("POST", "/" + "x" * 500_000, b"{}", {})
        await client.close()
    assert answer.status == 404
    assert len(answer.body) < 2000
