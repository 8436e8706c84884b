"""The lines for people."""

from __future__ import annotations

from typing import Any

import pytest

from adapter.config import load
from adapter.emulator.prices import PriceTable
from adapter.emulator.report import (
    Terminal,
    Visit,
    cost_text,
    details,
    duration_text,
    local_url,
    size_text,
    start_lines,
    streaming_cost,
)
from adapter.emulator.url_settings import UrlSettings
from adapter.throttle import MIB

PRICES = PriceTable(dated="2020-01-02", currency="USD", per_gb={"us-east-1": 0.008})


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
        pytest.param({"held": 1.98}, ["0 B", "total 0 ms", "held back by the cap 1.98 s"], id="held"),
        pytest.param({"client_left": True}, ["0 B", "total 0 ms", "client left"], id="left"),
        pytest.param(
            {"error_type": "Runtime.ExitError", "error_message": "why"},
            ["0 B", "total 0 ms", "Runtime.ExitError: why"],
            id="failed",
        ),
        pytest.param({"error_type": "Function.X"}, ["0 B", "total 0 ms", "Function.X"], id="failed-without-a-word"),
    ],
)
def test_a_line_says_what_happened_and_nothing_else(fields: dict[str, Any], expected: list[str]) -> None:
    assert details(Visit(method="GET", target="/", **fields)) == expected


@pytest.mark.parametrize(
    ("streamed", "region", "expected"),
    [
        pytest.param(6 * MIB, "us-east-1", [], id="all-free"),
        pytest.param(
            10 * MIB,
            "us-east-1",
            ["4.0 MB beyond the free 6 MB: 0.000031 USD (us-east-1, prices of 2020-01-02)"],
            id="beyond",
        ),
        pytest.param(
            7 * MIB,
            "mars-1",
            ["1.0 MB beyond the free 6 MB, no price known for mars-1 (--price-table)"],
            id="unknown-region",
        ),
    ],
)
def test_only_what_is_beyond_the_free_bytes_costs(streamed: int, region: str, expected: list[str]) -> None:
    assert streaming_cost(streamed, PRICES, region) == expected


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        pytest.param(0, "0 B", id="none"),
        pytest.param(1023, "1023 B", id="bytes"),
        pytest.param(1024, "1.0 KB", id="kilobyte"),
        pytest.param(MIB, "1.0 MB", id="megabyte"),
        pytest.param(200 * MIB, "200.0 MB", id="many"),
    ],
)
def test_sizes_are_counted_as_aws_counts(size: int, expected: str) -> None:
    assert size_text(size) == expected


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


def test_the_start_says_how_to_deploy_the_same_and_what_to_try() -> None:
    lines = "\n".join(start_lines(UrlSettings(load({}))))
    assert "AWS_LWA_INVOKE_MODE=response_stream, function URL with InvokeMode: RESPONSE_STREAM" in lines
    assert "6.0 MB at once, then 2.0 MB/s" in lines
    assert "200.0 MB a response" in lines
    assert "900 s" in lines
    assert "curl -N http://127.0.0.1:3000/" in lines


def test_the_start_of_a_buffered_function_names_the_limit_and_no_bandwidth() -> None:
    lines = "\n".join(start_lines(UrlSettings(load({}, {"invoke_mode": "buffered"}))))
    assert "AWS_LWA_INVOKE_MODE=buffered, function URL with InvokeMode: BUFFERED" in lines
    assert "6291556 bytes" in lines
    assert "bandwidth" not in lines


def test_the_start_names_every_front_door_with_its_own_cap_and_limit() -> None:
    lines = start_lines(UrlSettings(load({}, {"front_doors": "function-url,rest-api,alb:8080"})))
    assert "Lambda on this machine: a function URL at http://127.0.0.1:3000/" in lines
    assert "  and        a REST API at http://127.0.0.1:3002/" in lines
    assert "  and        a load balancer at http://127.0.0.1:8080/" in lines
    assert "  invoke     aws lambda invoke --endpoint-url http://127.0.0.1:3001/ …" in lines
    text = "\n".join(lines)
    assert "6.0 MB at once, then 2.0 MB/s, for each response, as on Lambda (function-url)" in text
    assert "10.0 MB at once, then 2.0 MB/s, for each response, as a REST API has it (rest-api)" in text
    assert "1048576 bytes for the whole encoded response" in text
    assert "REST API with responseTransferMode: STREAM" in text
    assert "  mind       deploy as AWS_LWA_INVOKE_MODE=buffered what is behind alb" in lines


def test_nothing_is_to_be_minded_where_the_modes_fit() -> None:
    for doors in ("alb", "function-url,rest-api"):
        assert "mind" not in "\n".join(start_lines(UrlSettings(load({}, {"front_doors": doors}))))


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


@pytest.mark.parametrize(("color", "status"), [(True, "\x1b[32m200\x1b[0m"), (False, "200"), (None, "200")])
def test_lines_go_to_stderr_and_are_coloured_on_demand(
    color: bool | None, status: str, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal = Terminal(PRICES, "us-east-1", color)
    terminal.visit(Visit(method="GET", target="/x", status=200, sent=2, streamed=8 * MIB, duration=0.01))
    written = capsys.readouterr()
    assert written.out == ""
    assert written.err == (
        f"GET /x {status} | 2 B | total 10 ms | 2.0 MB beyond the free 6 MB: 0.000016 USD "
        "(us-east-1, prices of 2020-01-02)\n"
    )


def test_a_line_names_its_front_door_where_there_are_several(capsys: pytest.CaptureFixture[str]) -> None:
    Terminal(PRICES, "us-east-1", color=False).visit(Visit(method="GET", target="/x", status=200, door="alb"))
    assert capsys.readouterr().err.startswith("alb GET /x 200 | ")


def test_notices_name_their_author(capsys: pytest.CaptureFixture[str]) -> None:
    Terminal(PRICES, "us-east-1", color=False).notice("something happened")
    assert capsys.readouterr().err == "adapter dev: something happened\n"
