"""Lines on stderr: one write each, for people or for machines."""

from __future__ import annotations

import ast
import json
import os
import re
import select
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from adapter.errors import TEXT_LIMIT, AdapterError
from adapter.logs import LINE_LIMIT, Log, trace_of
from adapter.output import STDERR, Output
from adapter.payload.messages import Invocation

REPOSITORY = Path(__file__).resolve().parent.parent
INVOCATION = Invocation(request_id="r-1", event=b"{}")
LEVELS = ["trace", "debug", "info", "warn", "error", "fatal"]


def written(captured: pytest.CaptureFixture[str]) -> list[str]:
    return captured.readouterr().err.splitlines()


def test_a_text_line_has_level_message_and_fields(capfd: pytest.CaptureFixture[str]) -> None:
    Log().info("it happened", requestId="r-1", ms=1.5, path="/a b", empty="", quote='say "x"', equals="a=b", none=None)
    assert written(capfd) == [
        'adapter INFO it happened requestId=r-1 ms=1.5 path="/a b" empty="" quote="say \\"x\\"" equals="a=b" none=None'
    ]


def test_a_json_line_has_the_shape_of_lambdas_own(capfd: pytest.CaptureFixture[str]) -> None:
    Log(format="json").warning("it happened", requestId="r-1", ms=1.5, path="/é")
    [line] = written(capfd)
    record = json.loads(line)
    assert list(record) == ["timestamp", "level", "message", "requestId", "ms", "path"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", record.pop("timestamp"))
    assert record == {"level": "WARN", "message": "it happened", "requestId": "r-1", "ms": 1.5, "path": "/é"}


def test_a_json_record_is_one_line_whatever_it_quotes(capfd: pytest.CaptureFixture[str]) -> None:
    Log(format="json").error("two\nlines\r\n", reason="three\nmore\n")
    [line] = written(capfd)
    assert json.loads(line)["message"] == "two\nlines\r\n"


def test_what_a_text_record_quotes_stays_readable_and_passes_for_no_record(capfd: pytest.CaptureFixture[str]) -> None:
    Log().error("a fault:\nadapter INFO forged\r\nthe end\n", reason="three\nmore\n")
    assert capfd.readouterr().err == (
        "adapter ERROR a fault: reason=three\\nmore\\n\n    adapter INFO forged\\r\n    the end\n"
    )


@pytest.mark.parametrize("format", ["text", "json"])
def test_a_lone_surrogate_can_be_written(capfd: pytest.CaptureFixture[str], format: str) -> None:
    Log(format=format).info("broken \udc80")
    assert written(capfd)[0].endswith(("broken \\udc80", 'broken \\udc80"}'))


@pytest.mark.parametrize("threshold", LEVELS)
def test_lines_below_the_level_are_not_written(capfd: pytest.CaptureFixture[str], threshold: str) -> None:
    log = Log(level=threshold)
    for write in (log.info, log.warning, log.error):
        write("x")
    expected = [name for name in ("info", "warn", "error") if LEVELS.index(name) >= LEVELS.index(threshold)]
    assert written(capfd) == [f"adapter {name.upper()} x" for name in expected]


def test_an_access_line_names_its_invocation_first(capfd: pytest.CaptureFixture[str]) -> None:
    Log().log_invocation({"requestId": INVOCATION.request_id, "method": "GET", "status": 200})
    assert written(capfd) == ["adapter INFO invocation requestId=r-1 method=GET status=200"]


SILENT = [pytest.param(Log(access_log=False), id="turned-off"), pytest.param(Log(level="warn"), id="below-the-level")]


@pytest.mark.parametrize("log", SILENT)
def test_the_access_line_can_be_left_out(capfd: pytest.CaptureFixture[str], log: Log) -> None:
    log.log_invocation({"requestId": INVOCATION.request_id, "status": 200})
    log.error("still here")
    assert written(capfd) == ["adapter ERROR still here"]


def test_bytes_go_out_as_they_are(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    STDERR.copy_whole(b"\xff\0raw\n")
    assert capfdbinary.readouterr().err == b"\xff\0raw\n"


def test_each_line_is_one_write() -> None:
    """One read of a pipe returns one write, which is one line: lines of several processes never mix."""
    read_end, write_end = os.pipe()
    code = "from adapter.logs import Log; Log().info('x', y='z' * 1000); Log().info('second')"
    done = subprocess.run([sys.executable, "-I", "-c", code], stderr=write_end, check=True, timeout=20)
    os.close(write_end)
    lines = os.read(read_end, 65536).splitlines()
    os.close(read_end)
    assert done.returncode == 0
    assert [len(line) for line in lines] == [len("adapter INFO x y=") + 1000, len("adapter INFO second")]


def test_lines_that_are_kept_are_written_together_and_before_all_later_ones() -> None:
    """A pipe with O_DIRECT returns one write with each read."""
    read_end, write_end = os.pipe2(os.O_DIRECT)
    code = (
        "from adapter.logs import Log; from adapter.output import STDERR\n"
        "calls = []\n"
        "log = Log()\n"
        "for count in (2, 30):\n"
        "    for number in range(count): log.log_request({'n': number, 'x': 'x' * 280}, call_soon=calls.append)\n"
        "    log.error('an error') if count == 2 else calls.pop()()\n"
        "assert calls == [STDERR.flush], calls\n"
        "calls.pop()()"
    )
    subprocess.run([sys.executable, "-I", "-c", code], stderr=write_end, check=True, timeout=20)
    os.close(write_end)
    writes = []
    while written := os.read(read_end, 65536):
        writes.append(written.decode())
    os.close(read_end)
    numbers = [re.findall(r"request n=(\d+) x=x{280}\n", each) for each in writes]
    assert (numbers[0], writes[1], numbers[2]) == (["0", "1"], "adapter ERROR an error\n", list(map(str, range(13))))
    assert [number for each in numbers[2:] for number in each] == list(map(str, range(30)))
    assert all(len(each) <= select.PIPE_BUF and each.endswith("\n") for each in writes)


def test_a_stderr_that_is_gone_stops_nothing() -> None:
    code = "import os; from adapter.logs import Log; os.close(2); Log().info('x'); os.write(1, b'went on')"
    done = subprocess.run([sys.executable, "-I", "-c", code], stdout=subprocess.PIPE, check=True, timeout=20)
    assert done.stdout == b"went on"


def test_a_line_that_was_broken_off_does_not_take_the_next_one_into_it() -> None:
    """The pipe has room for PIPE_BUF bytes, and is not read while the first line is written."""
    code = (
        "import fcntl, sys; fcntl.fcntl(2, fcntl.F_SETPIPE_SZ, 4096)\n"
        "from adapter.logs import Log\n"
        "log = Log(); log.error('x' * 10000); print(flush=True); sys.stdin.readline(); log.error('the next one')"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-I", "-c", code], stdin=pipe, stdout=pipe, stderr=pipe) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        written = os.read(process.stderr.fileno(), 100_000)
        process.stdin.write(b"\n")
        process.stdin.close()
        written += process.stderr.read()
    first, told, second = written.splitlines()
    assert first.startswith(b"adapter ERROR xxx")
    assert told == b"adapter WARN stderr could not be written to; lines lost: 1"
    assert second == b"adapter ERROR the next one"


# --- bounds and escapes ---------------------------------------------------------------------------------------------

LONG = "a" * 1024 * 1024


@pytest.mark.parametrize("format", ["text", "json"])
@pytest.mark.parametrize("text", [LONG, "\x1b" * 1024 * 1024, "\U000e0001" * 1024 * 1024, '"' * 1024 * 1024])
def test_a_line_has_a_bound_whatever_it_quotes(capfd: pytest.CaptureFixture[str], text: str, format: str) -> None:
    Log(format=format).error(f"{text}\nthe end", path=text, reason=f"{text}\nthe end", error=text)
    written = capfd.readouterr().err
    assert len(written) < LINE_LIMIT + 100
    assert "characters left out)" in written
    assert "the end" in written


@pytest.mark.parametrize("text", ["\x1b[31m", "\x9b31m", "\x07", "\x7f", "\u202e", "\r", "\x00", "\u2028"])
def test_a_text_line_has_no_character_that_a_terminal_obeys(capfd: pytest.CaptureFixture[str], text: str) -> None:
    Log().error(f"a{text}b\nc{text}d", path=f"/e{text}f", reason=f"g {text}h")
    shown = capfd.readouterr().err
    assert all(each.isprintable() for each in shown.split("\n"))
    assert [part in shown for part in ("ERROR a\\", "    c\\", "/e\\", '"g \\')] == [True] * 4


def test_what_is_printable_stays_as_it_is(capfd: pytest.CaptureFixture[str]) -> None:
    Log().info("für 你好 🎉", path="/é\\x")
    assert written(capfd) == ["adapter INFO für 你好 🎉 path=/é\\x"]


def test_the_text_of_an_error_has_a_bound() -> None:
    shown = str(AdapterError(f"{LONG}; give another one"))
    assert len(shown) < TEXT_LIMIT + 100
    assert shown.endswith("; give another one")
    assert str(AdapterError("short")) == "short"


# --- levels ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "levels"),
    [
        pytest.param({}, ["INFO", "WARN", "ERROR"], id="default"),
        pytest.param({"access_log": False}, ["ERROR"], id="no-access-log"),
        pytest.param({"level": "warn"}, ["WARN", "ERROR"], id="warn"),
        pytest.param({"level": "error"}, ["ERROR"], id="error"),
        pytest.param({"level": "error", "access_log": False}, ["ERROR"], id="both"),
    ],
)
def test_a_failure_is_written_without_the_access_log_too(
    capfd: pytest.CaptureFixture[str], options: dict[str, Any], levels: list[str]
) -> None:
    log = Log(**options)
    for write in (log.log_request, log.log_invocation):
        for level in ("info", "warn", "error"):
            write({"status": 200}, level)
        assert [line.split()[1] for line in written(capfd)] == levels


# --- the app's output -----------------------------------------------------------------------------------------------


def test_a_line_begins_on_a_new_line_after_the_apps_output(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    for data in (b"half", b" a line"):
        STDERR.copy_whole(data)
    Log().info("ours")
    Log().info("again")
    for data in (b"\n", b"\n", b"whole\n"):
        STDERR.copy_whole(data)
    Log().info("the last")
    # Without our lines, these are the bytes of the app.
    assert capfdbinary.readouterr().err == (
        b"half a line\nadapter INFO ours\nadapter INFO again\n\nwhole\nadapter INFO the last\n"
    )


def test_output_to_another_file_breaks_no_line(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    read_end, write_end = os.pipe()
    other = Output(write_end, "other")
    other.copy(b"half")
    Log().info("ours")
    os.dup2(2, write_end)
    other.copy(b"half")
    Log().info("ours")
    os.close(read_end)
    os.close(write_end)
    assert capfdbinary.readouterr().err == b"adapter INFO ours\nhalf\nadapter INFO ours\n"


def test_the_same_warning_is_logged_once_if_that_is_wanted(capfd: pytest.CaptureFixture[str]) -> None:
    log = Log(level="warn")
    for message in ("one", "two", "one"):
        log.warning_once(message)
    first, second = capfd.readouterr().err.splitlines()
    assert "one" in first
    assert "two" in second


# --- the documentation ----------------------------------------------------------------------------------------------

FIELD_TABLE = re.compile(r"^\| (`\w+`(?:, `\w+`)*) \| ([\w, ]+) \| ", re.MULTILINE)
# Where the fields of each way in are written.
WRITERS = {
    "Lambda": ("runtime/invocation_relay.py", "_log"),
    "proxy": ("proxy/request_relay.py", "_log_fields"),
    "dev": ("emulator/terminal/lines.py", "request_fields"),
}


def fields_in(function: ast.AST) -> set[str]:
    """Return the keys that ``function`` writes: those of its dictionaries, and those that it assigns."""
    keys = [key for node in ast.walk(function) if isinstance(node, ast.Dict) for key in node.keys]
    keys += [node.slice for node in ast.walk(function) if isinstance(node, ast.Subscript)]
    return {key.value for key in keys if isinstance(key, ast.Constant) and isinstance(key.value, str)}


@pytest.mark.parametrize("way_in", WRITERS)
def test_the_documentation_has_exactly_the_fields_of_each_way_in(way_in: str) -> None:
    file, name = WRITERS[way_in]
    tree = ast.parse((REPOSITORY / "adapter" / file).read_text())
    [function] = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == name]
    rows = FIELD_TABLE.findall((REPOSITORY / "docs" / "logs.md").read_text())
    documented = {field for fields, ways in rows if way_in in ways.split(", ") for field in re.findall(r"\w+", fields)}
    assert documented == fields_in(function)


@pytest.mark.parametrize(
    ("value", "trace"),
    [
        pytest.param("Root=1-6789-abc;Parent=53;Sampled=1", "1-6789-abc", id="x-ray"),
        pytest.param("Self=1;Root=1-6789-abc", "1-6789-abc", id="x-ray-behind-a-proxy"),
        pytest.param(
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "0af7651916cd43dd8448eb211c80319c", id="w3c"
        ),
        pytest.param("Root=secret", "", id="not-hexadecimal"),
        pytest.param("Root=" + "a" * 65, "", id="too-long"),
        pytest.param("", "", id="none"),
    ],
)
def test_only_a_trace_id_is_taken_from_a_header(value: str, trace: str) -> None:
    assert trace_of(value) == trace
