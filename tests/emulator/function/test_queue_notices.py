"""The lines about invocations that wait, under injected time."""

from __future__ import annotations

import asyncio

from adapter.emulator.environment.invocation import LocalInvocation
from adapter.emulator.function.queue_notices import QueueNotices
from tests.emulator.test_function_settings import settings


async def test_the_invocations_beyond_ten_lines_a_second_are_counted_when_the_second_is_over() -> None:
    loop, ahead = asyncio.get_running_loop(), 0.0
    real_time = loop.time
    loop.time = lambda: real_time() + ahead  # type: ignore[method-assign]
    lines: list[str] = []
    notices = QueueNotices(settings({}), lambda text, **_: lines.append(text))

    def announce(count: int) -> None:
        for number in range(count):
            invocation = LocalInvocation(label=f"GET /{number}", event=b"{}", request_id="r", trace_id="t")
            notices.announce(invocation, ahead=number)

    announce(13)
    assert len(lines) == 10
    ahead += 1.0
    for _ in range(2):
        await asyncio.sleep(0)
    assert lines[10:] == ["3 more invocations had to wait in the queue"]
    announce(10)
    ahead += 1.0
    for _ in range(2):
        await asyncio.sleep(0)
    assert len(lines) == 21
