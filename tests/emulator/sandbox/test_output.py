"""The pipe between a process and our own output."""

from __future__ import annotations

import asyncio
import os

import pytest

from adapter.emulator.sandbox.output import OutputPipe
from adapter.output import Output


async def test_output_is_copied_as_it_comes_and_logged_in_lines() -> None:
    lines: list[bytes] = []
    target, our_output = os.pipe()
    pipe = OutputPipe(Output(our_output, "stdout"), lines.append)
    for written, expected in ((b"on", []), (b"e\ntwo", [b"one"]), (b"\n\n", [b"one", b"two", b""])):
        os.write(pipe.write_end, written)
        pipe.read()
        assert os.read(target, 100) == written
        assert lines == expected
    os.write(pipe.write_end, b"rest")
    pipe.close_write_end()
    pipe.read()
    assert lines[-1] == b"rest"
    os.close(target)
    os.close(our_output)


async def test_a_line_without_an_end_is_logged_in_parts() -> None:
    lines: list[bytes] = []
    with open(os.devnull, "wb") as discard:  # noqa: ASYNC230  # nothing is waited for
        pipe = OutputPipe(Output(discard.fileno(), "stdout"), lines.append)
        for _ in range(5):
            os.write(pipe.write_end, b"x" * 60_000)
            pipe.read()
        assert [len(part) > 262_144 for part in lines] == [True]
        pipe.close_write_end()
        pipe.close()


async def test_the_loop_reads_the_pipe_and_a_closed_output_is_not_an_error() -> None:
    lines: asyncio.Queue[bytes] = asyncio.Queue()
    target, our_output = os.pipe()
    os.close(target)
    pipe = OutputPipe(Output(our_output, "stdout"), lines.put_nowait)
    os.write(pipe.write_end, b"line\n")
    assert await lines.get() == b"line"
    pipe.close_write_end()
    pipe.close()
    pipe.close()
    os.close(our_output)


@pytest.mark.parametrize("left_open", [True, False])
async def test_a_pipe_that_another_process_holds_open_is_not_waited_for(left_open: bool) -> None:
    lines: list[bytes] = []
    with open(os.devnull, "wb") as discard:  # noqa: ASYNC230  # nothing is waited for
        pipe = OutputPipe(Output(discard.fileno(), "stdout"), lines.append)
        held = os.dup(pipe.write_end)
        os.write(held, b"last words")
        pipe.close_write_end()
        if not left_open:
            os.close(held)
        pipe.read()
        pipe.close()
        if left_open:
            os.close(held)
    assert lines == [b"last words"]
