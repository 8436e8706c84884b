"""What ``adapter dev`` shows at its start."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapter.config.load import load
from adapter.emulator.front_doors.door_settings import UrlSettings
from adapter.emulator.terminal.banner import local_url, mismatches, start_fields, start_lines

INVOKE = (
    "  invoke     adapter event function-url | AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any "
    "aws lambda invoke --region us-east-1 --endpoint-url http://127.0.0.1:3001/ --function-name local "
    "--payload fileb:///dev/stdin /dev/stdout"
)


def settings(**flags: str) -> UrlSettings:
    return UrlSettings(load({}, flags))


def test_the_start_says_how_to_deploy_the_same_and_what_to_try() -> None:
    lines = start_lines(settings())
    assert lines == [
        "Lambda on this machine: a function URL at http://127.0.0.1:3000/",
        "  mode       response_stream",
        "  deploy as  AWS_LWA_INVOKE_MODE=response_stream, function URL with InvokeMode: RESPONSE_STREAM",
        "  bandwidth  6 MB at once, then 2 MB/s, for each response, as on Lambda",
        "  limit      200 MB for a streamed response",
        "  timeout    900 s",
        "  app        starts with the first request; --warm starts the app at once",
        "  differs    from Lambda's defaults: mode response_stream (buffered), timeout 900 s (3 s), "
        "memory 1024 MB (128 MB)",
        INVOKE,
        "  try        curl -N http://127.0.0.1:3000/",
    ]


def test_the_start_of_a_buffered_function_names_the_limit_and_no_bandwidth() -> None:
    lines = "\n".join(start_lines(settings(invoke_mode="buffered")))
    assert "AWS_LWA_INVOKE_MODE=buffered, function URL with InvokeMode: BUFFERED" in lines
    assert "  limit      6 MB for the whole encoded response\n" in lines
    assert "bandwidth" not in lines


def test_the_adapters_variable_is_not_for_another_runtime() -> None:
    lines = "\n".join(start_lines(settings(runtime="node index.js")))
    assert "  deploy as  function URL with InvokeMode: RESPONSE_STREAM\n" in lines
    assert "deploy as" not in "\n".join(start_lines(settings(runtime="node index.js", front_doors="alb")))


def test_where_there_are_several_front_doors_each_row_says_which_it_is_about() -> None:
    lines = start_lines(settings(front_doors="function-url,rest-api,alb:8080,alb-multi-value,lattice"))
    assert lines[:5] == [
        "Lambda on this machine: a function URL at http://127.0.0.1:3000/",
        "  and        a REST API at http://127.0.0.1:3002/",
        "  and        a load balancer at http://127.0.0.1:8080/",
        "  and        a load balancer with multi-value headers at http://127.0.0.1:3003/",
        "  and        a VPC Lattice service at http://127.0.0.1:3004/",
    ]
    assert [line for line in lines if line.startswith(("  bandwidth", "  limit"))] == [
        "  bandwidth  6 MB at once, then 2 MB/s, for each response, as on Lambda (function-url)",
        "  bandwidth  10 MB at once, then 2 MB/s, for each response, as on a REST API (rest-api)",
        "  limit      200 MB for a streamed response (function-url, rest-api)",
        "  limit      1 MB for the whole encoded response (alb, alb-multi-value)",
        "  limit      6 MB for the whole encoded response (lattice)",
    ]
    assert INVOKE in lines
    assert "REST API with responseTransferMode: STREAM" in "\n".join(lines)


def test_what_was_lifted_is_said_to_be_lambdas() -> None:
    lines = start_lines(settings(bandwidth="unlimited", stream_limit="none"))
    assert "  bandwidth  unlimited here, but capped on Lambda" in lines
    assert "  limit      none here for a streamed response, but Lambda has one" in lines
    assert "; --bandwidth lambda sets Lambda's own cap" in "\n".join(start_lines(settings(bandwidth="64KB+64KB")))


@pytest.mark.parametrize(
    ("flags", "texts"),
    [
        pytest.param({}, [], id="both-stream"),
        pytest.param({"invoke_mode": "buffered"}, [], id="both-are-buffered"),
        pytest.param({"front_doors": "alb"}, [], id="a-buffered-function-suits-a-load-balancer"),
        pytest.param(
            {"url_invoke_mode": "buffered"},
            [
                "the function streams but the front door is buffered: clients wait for the whole response; "
                "make the modes match: change --invoke-mode or --url-invoke-mode"
            ],
            id="the-url-is-buffered",
        ),
        pytest.param(
            {"invoke_mode": "buffered", "url_invoke_mode": "response_stream", "front_doors": "function-url,rest-api"},
            [
                "the function is buffered but the front door streams: clients get the JSON payload undecoded; "
                "make the modes match: change --invoke-mode or --url-invoke-mode (function-url)",
                "the function is buffered but the front door streams: every request fails; "
                "make the modes match: change --invoke-mode or --url-invoke-mode (rest-api)",
            ],
            id="the-function-is-buffered",
        ),
        pytest.param(
            {"front_doors": "function-url,alb,lattice"},
            [
                "the function streams, but this front door cannot: clients get the whole response here, but perhaps "
                "not on AWS; for this front door, deploy the function with "
                "AWS_LWA_INVOKE_MODE=buffered (alb, lattice)"
            ],
            id="load-balancers-beside-a-url",
        ),
    ],
)
def test_a_mismatch_is_called_one_with_what_comes_of_it_and_the_way_out(
    flags: dict[str, str], texts: list[str]
) -> None:
    assert mismatches(settings(**flags)) == texts
    shown = [line for line in start_lines(settings(**flags)) if line.startswith("  mismatch   ")]
    assert shown == [f"  mismatch   {text}" for text in texts]


@pytest.mark.parametrize(
    ("flags", "template", "differs"),
    [
        pytest.param({"invoke_mode": "buffered", "timeout": "3", "memory": "128"}, None, [], id="lambdas-defaults"),
        pytest.param(
            {"invoke_mode": "buffered", "timeout": "3.5", "memory": "128"},
            None,
            ["from Lambda's defaults: timeout 3.5 s (3 s)"],
            id="another-timeout",
        ),
        pytest.param(
            {"timeout": "8", "memory": "256", "invoke_mode": "buffered"},
            {"timeout": "8", "memory": "256", "invoke_mode": "buffered"},
            [],
            id="the-templates",
        ),
        pytest.param(
            {"timeout": "8", "memory": "256", "url_invoke_mode": "response_stream", "invoke_mode": "buffered"},
            {"timeout": "7", "memory": "512", "url_invoke_mode": "buffered", "invoke_mode": "response_stream"},
            [
                "from the template: mode buffered (response_stream), URL mode response_stream (buffered), "
                "timeout 8 s (7 s), memory 256 MB (512 MB)"
            ],
            id="others-than-the-templates",
        ),
        pytest.param(
            {"front_doors": "alb", "timeout": "8", "memory": "256", "url_invoke_mode": "response_stream"},
            {"front_doors": "alb", "timeout": "8", "memory": "256", "url_invoke_mode": "buffered"},
            [],
            id="no-url-no-mode-of-it",
        ),
    ],
)
def test_the_start_says_what_differs_from_what_is_deployed(
    flags: dict[str, str], template: dict[str, str] | None, differs: list[str]
) -> None:
    given = UrlSettings(load({}, flags), None if template is None else load({}, template))
    shown = [line.removeprefix("  differs    ") for line in start_lines(given) if line.startswith("  differs ")]
    assert (shown, start_fields(given)["differences"]) == (differs, differs)


def test_what_is_done_on_purpose_and_what_is_written_is_said_at_the_start() -> None:
    lines = start_lines(settings(faults="throttle:50%", record="recordings"))
    assert "  faults     throttle:50% (injected by --fault)" in lines
    assert "  record     every invocation, including its secrets, is written to recordings" in lines
    fields = start_fields(settings(faults="throttle:50%", record="recordings"))
    assert (fields["faults"], fields["record"]) == ("throttle:50%", "recordings")
    assert not any(line.startswith(("  faults", "  record")) for line in start_lines(settings()))


def test_for_machines_the_start_has_fields() -> None:
    fields = start_fields(settings(front_doors="function-url,alb"))
    assert fields["doors"] == [
        {
            "door": "function-url",
            "url": "http://127.0.0.1:3000/",
            "streams": True,
            "responseLimit": 200 * 1024 * 1024,
            "bandwidth": {"burst": 6 * 1024 * 1024, "rate": 2 * 1024 * 1024},
        },
        {
            "door": "alb",
            "url": "http://127.0.0.1:3002/",
            "streams": False,
            "responseLimit": 1024 * 1024,
            "bandwidth": None,
        },
    ]
    assert (fields["invokeUrl"], fields["invokeMode"], fields["timeoutSeconds"]) == (
        "http://127.0.0.1:3001/",
        "response_stream",
        900,
    )
    assert len(fields["mismatches"]) == 1
    assert (fields["faults"], fields["record"]) == (None, None)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:3000/"),
        ("0.0.0.0", "http://127.0.0.1:3000/"),
        ("::", "http://[::1]:3000/"),
        ("::1", "http://[::1]:3000/"),
        ("dev.test", "http://dev.test:3000/"),
    ],
)
def test_the_url_is_one_that_a_client_on_this_machine_can_use(host: str, url: str) -> None:
    assert local_url(host, 3000) == url


def test_the_start_shows_a_key_pair_that_was_made_for_this_run_and_how_to_use_it() -> None:
    chosen = settings(auth="aws-iam", domain="shop.example", cors='{"AllowOrigins": ["*"]}')
    key = chosen.access.key
    assert key is not None
    user = f"{key.access_key_id}:{key.secret_access_key}"
    assert [line for line in start_lines(chosen) if line.startswith(("  domain", "  CORS", "  auth", "  try"))] == [
        "  domain     shop.example, the Host that the app gets",
        "  CORS       preflight responses and CORS headers come from function-url, not from the app",
        f"  auth       AWS_IAM with the key pair {key.access_key_id} generated for this run",
        f"  try        curl -N --aws-sigv4 aws:amz:us-east-1:lambda --user {user} http://127.0.0.1:3000/",
    ]


def test_a_secret_from_a_file_is_neither_in_the_start_message_nor_in_the_log(tmp_path: Path) -> None:
    file = tmp_path / "key.json"
    file.write_text('{"AccessKeyId": "AKIAFILE", "SecretAccessKey": "hidden"}')
    chosen = settings(auth="aws-iam", auth_key_file=str(file), log_format="json")
    lines, fields = "\n".join(start_lines(chosen)), start_fields(chosen)
    assert f"AKIAFILE from {file}" in lines
    assert "--user AKIAFILE:$AWS_SECRET_ACCESS_KEY" in lines
    assert fields["accessKeyId"] == "AKIAFILE"
    assert "hidden" not in lines + str(fields)


def test_the_start_says_when_the_app_starts_and_that_debugging_has_no_timeout() -> None:
    assert "  app        starts now" in start_lines(settings(warm="true"))
    assert "  app        starts now" in start_lines(settings(provisioned="1"))
    assert "  timeout    none (--debug)" in start_lines(settings(debug="true"))
