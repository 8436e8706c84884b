"""The page's live events (server-sent events). They report changes, at most ten times a second for each record."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from adapter.emulator.records.record import RequestRecord
    from adapter.emulator.records.ring import RecordRing
    from adapter.net.server import Exchange

# The pause between two groups of events, in seconds.
PERIOD = 0.1
# The number of periods between two comparisons of the environments, because comparing their long lanes is slow.
_ENVIRONMENT_PERIODS = 3
# The number of periods without a change after which a comment is sent. If that fails, the page has disconnected.
_KEEP_ALIVE_PERIODS = 150
_EVENT_STREAM = ("content-type", "text/event-stream")


class LiveEvents:
    """The event stream of one page. ``hello`` returns the first event, ``environments`` the state of all environments.

    ``summary(record)`` returns the record's row in the page's list.
    """

    def __init__(
        self,
        ring: RecordRing,
        hello: Callable[[], dict[str, Any]],
        environments: Callable[[], list[dict[str, Any]]],
        summary: Callable[[RequestRecord], dict[str, Any]],
    ) -> None:
        self._ring = ring
        self._hello = hello
        self._environments = environments
        self._summary = summary
        # The records that have changed since the last events. ``_known`` contains the numbers of the page's records.
        self._changed: dict[RequestRecord, None] = {}
        self._known: set[int] = set()
        self._sent_environments: dict[int, dict[str, Any]] = {}
        self._is_cleared = False
        self._number = 0

    async def serve(self, exchange: Exchange, stopped: asyncio.Event, headers: list[tuple[str, str]]) -> None:
        """Write events to ``exchange`` until the page disconnects or ``stopped`` is set."""
        exchange.begin(200, [_EVENT_STREAM, *headers])
        self._ring.watches.append(self._watch)
        try:
            first = self._hello()
            self._sent_environments = {each["id"]: each for each in first["environments"]}
            self._known = {each["id"] for each in first["records"]}
            await exchange.write([self._encoded("hello", first)])
            periods = 0
            while not stopped.is_set() and not exchange.disconnected.done():
                await _wait(stopped, PERIOD)
                periods += 1
                events = self._due_events(with_environments=periods % _ENVIRONMENT_PERIODS == 0)
                if not events and periods % _KEEP_ALIVE_PERIODS == 0:
                    events = [b": still here\n\n"]
                if events:
                    await exchange.write(events)
        except ConnectionError:
            return
        finally:
            self._ring.watches.remove(self._watch)
        exchange.end()

    def _watch(self, record: RequestRecord | None) -> None:
        if record is None:
            self._is_cleared = True
            self._changed.clear()
        else:
            self._changed[record] = None

    def _due_events(self, *, with_environments: bool) -> list[bytes]:
        """Return the encoded events for the changes of records since the previous call.

        If ``with_environments`` is True, include an event for each environment that has changed since its last event.
        """
        events = []
        if self._is_cleared:
            self._is_cleared = False
            self._known.clear()
            events.append(self._encoded("cleared", {}))
        changed, self._changed = self._changed, {}
        for record in changed:
            if self._ring.find(record.number) is record:
                self._known.add(record.number)
                events.append(self._encoded("record", self._summary(record)))
        for number in sorted(number for number in self._known if self._ring.find(number) is None):
            self._known.discard(number)
            events.append(self._encoded("removed", {"id": number}))
        if with_environments:
            for environment in self._environments():
                if self._sent_environments.get(environment["id"]) != environment:
                    self._sent_environments[environment["id"]] = environment
                    events.append(self._encoded("environment", environment))
        return events

    def _encoded(self, event: str, data: dict[str, Any]) -> bytes:
        self._number += 1
        return f"event: {event}\nid: {self._number}\ndata: ".encode() + orjson.dumps(data) + b"\n\n"


async def _wait(stopped: asyncio.Event, seconds: float) -> None:
    """Wait for ``seconds``, or until ``stopped`` is set."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stopped.wait()
