"""The lines for people."""

from __future__ import annotations

import json
from typing import Any

import pytest

from adapter.aws.limits import MIB
from adapter.config.load import load
from adapter.emulator.front_doors.door_settings import UrlSettings
from adapter.emulator.records.record import RequestRecord
from adapter.emulator.terminal.lines import Terminal, details, request_fields, streaming_cost
from adapter.emulator.terminal.prices import PriceTable
from adapter.logs import Log
from adapter.quantities import cost_text, duration_text

PRICES = PriceTable(dated="2020-01-02", currency="USD", per_gb={"us-east-1": 0.008})


def show_cloudwatch_line(terminal: Terminal, line: str) -> None:
    """Let ``terminal`` write a line of a CloudWatch block, unless it shows none."""
    if terminal.show_cloudwatch_line is not None:
        terminal.show_cloudwatch_line(line)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({}, ["0 B", "total 0 ms"], id="nothing-sent"),
        pytest.param(
            {"sent": 1536, "first_byte": 0.0124, "duration": 2.004},
            ["1.5 KB", "first byte 12 ms", "total 2.00 s"],
            id="ordinary",
        ),
        pytest.param({"init": 0.64}, ["0 B", "total 0 ms", "cold start, init 640 ms"], id="cold"),
        pytest.param({"restore": 0.012}, ["0 B", "total 0 ms", "restored, 12 ms"], id="restored"),
        pytest.param({"held": 1.98}, ["0 B", "total 0 ms", "held back by the bandwidth cap 1.98 s"], id="held"),
        pytest.param({"client_left": True}, ["0 B", "total 0 ms", "client left"], id="left"),
        pytest.param({"mismatch": True}, ["0 B", "total 0 ms", "mismatch"], id="mismatch"),
        pytest.param({"app_status": 404, "app_path": "/events"}, ["0 B", "total 0 ms", "POST /events 404"], id="event"),
        pytest.param({"decoded": "gzip"}, ["0 B", "total 0 ms", "gzip decoded (field report)"], id="decoded"),
        pytest.param({"warning": "a, b"}, ["0 B", "total 0 ms", "warning: a, b"], id="warning"),
        pytest.param(
            {"error_type": "Runtime.ExitError", "error_message": "why"},
            ["0 B", "total 0 ms", "Runtime.ExitError: why"],
            id="failed",
        ),
        pytest.param({"error_type": "Function.X"}, ["0 B", "total 0 ms", "Function.X"], id="failed-without-a-word"),
        pytest.param(
            {"environment": 3, "request_id": "r-1"}, ["0 B", "total 0 ms", "environment 3", "r-1"], id="where-and-which"
        ),
    ],
)
def test_a_line_says_what_happened_and_nothing_else(fields: dict[str, Any], expected: list[str]) -> None:
    assert details(RequestRecord(method="GET", target="/", **fields)) == expected


@pytest.mark.parametrize(
    ("streamed", "region", "expected"),
    [
        pytest.param(6 * MIB, "us-east-1", [], id="all-free"),
        pytest.param(
            10 * MIB,
            "us-east-1",
            ["4 MB beyond the free 6 MB: 0.000031 USD (us-east-1, prices of 2020-01-02)"],
            id="beyond",
        ),
        pytest.param(
            7 * MIB,
            "mars-1",
            ["1 MB beyond the free 6 MB; no price is known for mars-1; --price-table adds prices"],
            id="unknown-region",
        ),
    ],
)
def test_only_what_is_beyond_the_free_bytes_costs(streamed: int, region: str, expected: list[str]) -> None:
    assert streaming_cost(streamed, PRICES, region) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.0004, "0 ms"), (0.999, "999 ms"), (0.9996, "1.00 s"), (61.5, "61.50 s")],
)
def test_durations(seconds: float, expected: str) -> None:
    assert duration_text(seconds) == expected


@pytest.mark.parametrize(
    ("cost", "expected"),
    [(0.0, "0.00"), (0.00003125, "0.000031"), (0.0125, "0.013"), (1.5, "1.50"), (123.456, "123.46")],
)
def test_costs_have_two_significant_digits(cost: float, expected: str) -> None:
    assert cost_text(cost) == expected


@pytest.mark.parametrize(("color", "status"), [(True, "\x1b[32m200\x1b[0m"), (False, "200"), (None, "200")])
def test_lines_go_to_stderr_and_are_coloured_on_demand(
    color: bool | None, status: str, capfd: pytest.CaptureFixture[str]
) -> None:
    terminal = Terminal(PRICES, "us-east-1", color=color)
    terminal.log_request(RequestRecord(method="GET", target="/x", status=200, sent=2, streamed=8 * MIB, duration=0.01))
    written = capfd.readouterr()
    assert written.out == ""
    assert written.err == (
        f"GET /x {status} | 2 B | total 10 ms | 2 MB beyond the free 6 MB: 0.000016 USD "
        "(us-east-1, prices of 2020-01-02)\n"
    )


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        pytest.param(b"adapter ERROR the app  ended\nbye\n", "Runtime.ExitError", id="written-by-the-runtime"),
        pytest.param(b"x", "Runtime.ExitError: the app ended", id="not-written"),
        pytest.param(b"the app ended" + b"\n" * 5000, "Runtime.ExitError: the app ended", id="long-ago"),
    ],
)
def test_a_reason_that_the_runtime_has_just_written_is_not_repeated(
    output: bytes, reason: str, capfd: pytest.CaptureFixture[str]
) -> None:
    terminal = Terminal(PRICES, "us-east-1", color=False)
    for piece in (output[:20], output[20:]):
        assert terminal.shows_output(piece)
    failed = RequestRecord(method="GET", target="/", status=502)
    failed.error_type, failed.error_message = "Runtime.ExitError", "the app ended"
    terminal.log_request(failed)
    assert capfd.readouterr().err == f"GET / 502 | 0 B | total 0 ms | {reason}\n"
    terminal.notice("init failed (Runtime.ExitError)", level="error", reason="the app ended")
    assert capfd.readouterr().err.replace("(", "").replace(")", "") == f"adapter dev: init failed {reason}\n"


@pytest.mark.parametrize(
    ("doors", "line"),
    [
        pytest.param("alb", "GET /x 200 | ", id="one-door"),
        pytest.param("alb,http-api", "alb GET /x 200 | ", id="several"),
    ],
)
def test_a_line_names_its_front_door_where_there_are_several(
    doors: str, line: str, capfd: pytest.CaptureFixture[str]
) -> None:
    terminal = Terminal(PRICES, "us-east-1", color=False)
    terminal.log_start(UrlSettings(load({}, {"front_doors": doors})))
    capfd.readouterr()
    terminal.log_request(RequestRecord(method="GET", target="/x", status=200, door="alb"))
    assert capfd.readouterr().err.startswith(line)


@pytest.mark.parametrize(
    ("flags", "explained"),
    [
        pytest.param(
            {"front_doors": "function-url,rest-api"},
            [
                "mismatch at function-url: the function is buffered but the front door streams: clients get the JSON",
                "mismatch at rest-api: the function is buffered but the front door streams: every request fails",
            ],
            id="by-the-first-line-of-each-door",
        ),
        pytest.param(
            {"front_doors": "alb,http-api"},
            [
                "mismatch at alb: the function streams, but this front door cannot",
                "mismatch at http-api: the function streams, but this front door cannot",
            ],
            id="of-doors-that-cannot-stream",
        ),
        pytest.param(
            {"front_doors": "alb,http-api", "invoke_mode": "response_stream"}, [], id="by-the-start-message-alone"
        ),
    ],
)
def test_a_mismatch_is_explained_once_for_each_front_door(
    flags: dict[str, str], explained: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    terminal = Terminal(PRICES, "us-east-1", color=False)
    settings = UrlSettings(load({}, flags))
    terminal.log_start(settings)
    capfd.readouterr()
    names = [door.rules.name for door in settings.doors]
    for name in names * 2:
        terminal.log_request(RequestRecord(method="GET", target="/x", status=200, door=name, mismatch=True))
    lines = capfd.readouterr().err.splitlines()
    notices = [line.removeprefix("adapter dev: ") for line in lines if line.startswith("adapter dev: ")]
    assert len(notices) == len(explained)
    assert all(notice.startswith(text) for notice, text in zip(notices, explained, strict=True))
    assert [line.split()[0] for line in lines if line.endswith(" | mismatch")] == names * 2


@pytest.mark.parametrize(
    ("record", "line"),
    [
        pytest.param(
            RequestRecord(method="GET", target="/", status=200, broken_off=True, error_type="Function.X"),
            "GET / \x1b[31m200\x1b[0m broken off | ",
            id="broken-off",
        ),
        pytest.param(
            RequestRecord(method="Invoke", target="f", status=200, error_type="Function.X"),
            "Invoke f \x1b[31m200\x1b[0m | ",
            id="function-error",
        ),
        pytest.param(
            RequestRecord(method="GET", target="/", status=404, error_type="x"),
            "GET / \x1b[33m404\x1b[0m | ",
            id="refused",
        ),
        pytest.param(
            RequestRecord(method="", target="Event f, answered", status=202),
            "Event f, answered \x1b[32m202\x1b[0m | ",
            id="no-method",
        ),
    ],
)
def test_a_bad_end_is_not_green_and_no_space_is_left_over(
    record: RequestRecord, line: str, capfd: pytest.CaptureFixture[str]
) -> None:
    Terminal(PRICES, "us-east-1", color=True).log_request(record)
    assert capfd.readouterr().err.startswith(line)


def test_for_machines_an_invocation_has_fields() -> None:
    record = RequestRecord(
        method="GET", target="/x", status=200, sent=2, streamed=8 * MIB, first_byte=0.0012, duration=0.5, door="alb"
    )
    record.request_id, record.init, record.held, record.restore = "r-1", 0.25, 0.1, 0.05
    record.error_type, record.error_message, record.broken_off, record.mismatch = "E", "why", True, True
    record.app_path, record.app_status = "/events", 404
    record.client, record.environment, record.replay_of = "127.0.0.1", 2, 7
    record.trace_id = "Root=1-67891233-abcdef012345678912345678;Parent=53995c3f42cd8ad8;Sampled=0"
    record.decoded, record.warning = "br", "w"
    assert request_fields(record, PRICES, "us-east-1") == {
        "requestId": "r-1",
        "door": "alb",
        "method": "GET",
        "path": "/x",
        "status": 200,
        "bytes": 2,
        "ms": 500.0,
        "firstByteMs": 1.2,
        "client": "127.0.0.1",
        "traceId": "1-67891233-abcdef012345678912345678",
        "environment": 2,
        "coldStart": True,
        "replayOf": 7,
        "initMs": 250.0,
        "restoreMs": 50.0,
        "heldMs": 100.0,
        "billedBytes": 2 * MIB,
        "cost": pytest.approx(0.008 * 2 / 1024),
        "error": "E",
        "reason": "why",
        "brokenOff": True,
        "mismatch": True,
        "decoded": "br",
        "warning": "w",
        "appPath": "/events",
        "appStatus": 404,
    }


def test_for_machines_what_did_not_happen_is_left_out() -> None:
    fields = request_fields(RequestRecord(method="Invoke", target="f", status=200, client_left=True), PRICES, "mars-1")
    assert fields == {
        "door": "invoke-api",
        "method": "Invoke",
        "path": "f",
        "status": 200,
        "bytes": 0,
        "ms": 0.0,
        "clientLeft": True,
    }


def test_with_a_json_log_every_line_is_one_object(capfd: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal(PRICES, "us-east-1", log=Log(format="json"))
    terminal.log_start(UrlSettings(load({}, {"front_doors": "function-url,alb"})))
    terminal.log_request(RequestRecord(method="GET", target="/x", status=200))
    terminal.notice("something happened")
    with_block = Terminal(PRICES, "us-east-1", log=Log(format="json"), cloudwatch_block=True)
    show_cloudwatch_line(with_block, "START RequestId: 1")
    start, record, notice, line = map(json.loads, capfd.readouterr().err.splitlines())
    assert start["message"] == "serving"
    assert [(door["door"], door["url"]) for door in start["doors"]] == [
        ("function-url", "http://127.0.0.1:3000/"),
        ("alb", "http://127.0.0.1:3002/"),
    ]
    assert (record["message"], record["path"], record["status"]) == ("invocation", "/x", 200)
    assert (notice["message"], line["message"]) == ("something happened", "START RequestId: 1")


def test_notices_name_their_author(capfd: pytest.CaptureFixture[str]) -> None:
    Terminal(PRICES, "us-east-1", color=False).notice("something happened")
    assert capfd.readouterr().err == "adapter dev: something happened\n"


@pytest.mark.parametrize(
    ("fields", "level"),
    [
        pytest.param({"status": 404}, "INFO", id="the-apps-own-answer"),
        pytest.param({"status": 429, "error_type": "TooManyRequestsException", "refused": True}, "WARN", id="refused"),
        pytest.param({"status": 503}, "ERROR", id="the-apps-own-failure"),
        pytest.param({"status": 200, "error_type": "Function.X"}, "ERROR", id="function-error"),
        pytest.param({"status": 200, "broken_off": True}, "ERROR", id="broken-off"),
        pytest.param({"status": 200, "warning": "w"}, "WARN", id="warning"),
    ],
)
def test_for_machines_a_failed_invocation_is_an_error(
    fields: dict[str, Any], level: str, capfd: pytest.CaptureFixture[str]
) -> None:
    Terminal(PRICES, "us-east-1", log=Log(format="json")).log_request(RequestRecord(method="GET", target="/", **fields))
    assert json.loads(capfd.readouterr().err)["level"] == level


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param({}, ["served", "refused"], id="a-line-each"),
        pytest.param({"cloudwatch_block": True}, ["START", "refused"], id="the-block-instead"),
        pytest.param({"shows_requests": False}, [], id="no-lines"),
        pytest.param({"shows_requests": False, "cloudwatch_block": True}, ["START"], id="the-block-alone"),
    ],
)
def test_cloudwatchs_block_replaces_the_lines_of_invocations(
    options: dict[str, Any], expected: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    terminal = Terminal(PRICES, "us-east-1", color=False, **options)
    show_cloudwatch_line(terminal, "START")
    terminal.log_request(RequestRecord(method="", target="served", status=200))
    terminal.log_request(RequestRecord(method="", target="refused", status=429, refused=True))
    assert [line.split()[0] for line in capfd.readouterr().err.splitlines()] == expected


# --- foreign text -----------------------------------------------------------------------------------------------------

ESCAPES = "\x1b[2J\x9b31m\x07\r\u202e"


def lines_about(terminal: Terminal, text: str) -> None:
    """Write every kind of line with ``text`` in it."""
    record = RequestRecord(
        method=text, target=text, status=200, door="alb", request_id="r-1", app_path=text, app_status=404
    )
    record.error_type, record.error_message = text, text
    terminal.log_request(record)
    terminal.notice(text)
    terminal.notice(text, level="error")
    terminal.report_error(text)
    show_cloudwatch_line(terminal, f"REPORT\t{text}")
    terminal.log_start(UrlSettings(load({}, {"record": text})))


@pytest.mark.parametrize("color", [True, False])
def test_no_line_has_a_character_that_a_terminal_obeys(color: bool, capfd: pytest.CaptureFixture[str]) -> None:
    lines_about(Terminal(PRICES, "us-east-1", color=color, cloudwatch_block=True, names_doors=True), ESCAPES)
    shown = capfd.readouterr().err
    for style in ("\x1b[0m", "\x1b[2m", "\x1b[31m", "\x1b[32m"):
        shown = shown.replace(style, "")
    assert all(each.isprintable() or each in "\n\t" for each in shown)
    assert shown.count("\\x1b[2J\\x9b31m\\x07\\r\\u202e") >= 9


def test_every_line_has_a_bound(capfd: pytest.CaptureFixture[str]) -> None:
    lines_about(Terminal(PRICES, "us-east-1", color=False, cloudwatch_block=True, names_doors=True), "x" * 1024 * 1024)
    assert max(map(len, capfd.readouterr().err.splitlines())) < 10_000


@pytest.mark.parametrize("format", ["text", "json"])
def test_without_the_access_log_only_failures_have_lines(format: str, capfd: pytest.CaptureFixture[str]) -> None:
    log = Log(format="json", access_log=False) if format == "json" else None
    terminal = Terminal(PRICES, "us-east-1", color=False, log=log, shows_requests=False)
    for fields in (
        {"target": "/ok", "status": 200},
        {"target": "/refused", "status": 413, "error_type": "x", "refused": True},
        {"target": "/left", "status": 200, "client_left": True},
        {"target": "/failed", "status": 200, "error_type": "Function.X"},
        {"target": "/left-and-failed", "status": 200, "error_type": "Function.X", "client_left": True},
    ):
        terminal.log_request(RequestRecord(method="GET", **fields))  # type: ignore[arg-type]
    written = capfd.readouterr().err.splitlines()
    assert ["/failed" in line or "/left-and-failed" in line for line in written] == [True, True]
