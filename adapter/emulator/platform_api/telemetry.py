"""The telemetry of one environment: who has subscribed, and how records reach them.

What happens before somebody subscribes is kept until the init phase is over, when no more subscriptions are taken.
Each subscriber has a buffer of its own and one task, ``deliver``, that empties it: when it is full, or when its first
record has waited long enough. A subscriber that does not keep up loses records and is told how many.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import orjson

from adapter.emulator.environment.condition import Condition
from adapter.emulator.platform_api import telemetry_records as events

if TYPE_CHECKING:
    from adapter.emulator.platform_api.subscription import Subscription

# How much may wait for a subscriber, as a multiple of its buffer (AWS, "Buffering configuration": payloads may be
# twice as large).
_WAITING_LIMIT = 2
# Pauses before a delivery that failed is tried again, in seconds; after the last one its records are dropped.
_BACKOFF = (0.05, 0.2, 1.0, 3.0)
_SLOW = "Consumer seems to have fallen behind as it has not acknowledged receipt of logs."


class Telemetry:
    """Records on their way to the extensions of one environment."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self._group = group
        self._subscribers: dict[str, Subscriber] = {}
        self._early: list[tuple[str, str, bytes]] = []
        self.closed = False

    @property
    def wanted(self) -> bool:
        """Whether anybody is told of anything, or may be later."""
        return not self.closed or bool(self._subscribers)

    def emit(self, type_: str, category: str, record: Any) -> None:
        """Something happened: hand it to whoever wants it."""
        if not self.wanted:
            return
        encoded = orjson.dumps({"time": events.timestamp(time.time()), "type": type_, "record": record})
        for subscriber in self._subscribers.values():
            subscriber.add(type_, category, encoded)
        if not self.closed:
            self._early.append((type_, category, encoded))

    def api_of(self, name: str) -> str:
        """The API that the extension ``name`` has subscribed by; empty where it has not."""
        subscriber = self._subscribers.get(name)
        return "" if subscriber is None else subscriber.subscription.api.name

    def subscribe(self, name: str, subscription: Subscription) -> None:
        """Deliver to the extension ``name``. A second subscription takes the place of the first."""
        if name in self._subscribers:
            self._subscribers[name].subscription = subscription
        else:
            subscriber = self._subscribers[name] = Subscriber(subscription)
            for early in self._early:
                subscriber.add(*early)
            self._group.create_task(subscriber.deliver())
        self.emit(*events.subscription(subscription.api.name, name, list(subscription.types)))

    def close(self) -> None:
        """The init phase is over."""
        self.closed = True
        self._early.clear()

    async def flush(self) -> None:
        """Wait until everything has been delivered, or dropped."""
        for subscriber in self._subscribers.values():
            await subscriber.flush()

    def end(self) -> None:
        """Deliver nothing more."""
        for subscriber in self._subscribers.values():
            subscriber.end()


class Subscriber:
    """One subscriber's buffer."""

    def __init__(self, subscription: Subscription) -> None:
        self.subscription = subscription
        self._records: list[bytes] = []
        self._size = 0
        self._dropped = [0, 0]
        self._hurry = False
        self._sending = False
        self._ended = False
        self._condition = Condition()

    def add(self, type_: str, category: str, record: bytes) -> None:
        """A record, if it is one that the subscriber wants."""
        if not self.subscription.wants(type_, category):
            return
        if self._size + len(record) > _WAITING_LIMIT * self.subscription.max_bytes:
            self._drop([record])
            return
        self._records.append(record)
        self._size += len(record)
        self._condition.notify()

    async def flush(self) -> None:
        """Send what there is now, and wait for it."""
        self._hurry = True
        self._condition.notify()
        await self._condition.wait_for(lambda: self._ended or not (self._records or self._sending))
        self._hurry = False

    def end(self) -> None:
        """Send nothing more."""
        self._ended = True
        self._condition.notify()

    async def deliver(self) -> None:
        """Send batches until the end."""
        while not self._ended:
            await self._condition.wait_for(lambda: self._ended or bool(self._records))
            try:
                async with asyncio.timeout(self.subscription.timeout):
                    await self._condition.wait_for(self._is_due)
            except TimeoutError:
                pass
            if not self._ended:
                await self._send_batch()

    def _is_due(self) -> bool:
        full = len(self._records) >= self.subscription.max_items or self._size >= self.subscription.max_bytes
        return full or self._hurry or self._ended

    async def _send_batch(self) -> None:
        batch = self._records[: self.subscription.max_items]
        self._records = self._records[len(batch) :]
        self._size -= sum(map(len, batch))
        self._sending = True
        if not await self._send(batch):
            self._drop(batch)
        elif self._dropped[0]:
            (count, size), self._dropped = self._dropped, [0, 0]
            type_, _, record = events.logs_dropped(size, count, _SLOW)
            now = events.timestamp(time.time())
            self._records.insert(0, orjson.dumps({"time": now, "type": type_, "record": record}))
            self._size += len(self._records[0])
        self._sending = False
        self._condition.notify()

    def _drop(self, records: list[bytes]) -> None:
        self._dropped[0] += len(records)
        self._dropped[1] += sum(map(len, records))

    async def _send(self, batch: list[bytes]) -> bool:
        """Send a batch, again and again where that fails; False when it is given up."""
        for pause in (*_BACKOFF, None):
            try:
                await (_post if self.subscription.protocol == "HTTP" else _write)(self.subscription, batch)
            except (OSError, ValueError):
                if pause is None or self._ended:
                    return False
                await asyncio.sleep(pause)
            else:
                return True
        raise AssertionError("the last attempt returns")


async def _post(subscription: Subscription, batch: list[bytes]) -> None:
    """One HTTP request with a JSON array. Raises OSError or ValueError where it is not taken."""
    import aiohttp  # only where somebody subscribes: it takes 0.1 s to load

    url = f"http://127.0.0.1:{subscription.port}{subscription.path}"
    headers = {"Host": f"sandbox.localdomain:{subscription.port}", "Content-Type": "application/json"}
    body = b"[" + b",".join(batch) + b"]"
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.request(subscription.method, url, data=body, headers=headers) as response,
        ):
            if not response.ok:
                raise ValueError(f"the subscriber answered {response.status}")
    except aiohttp.ClientError as error:
        raise OSError(f"the subscriber did not answer: {error}") from error


async def _write(subscription: Subscription, batch: list[bytes]) -> None:
    """Newline-delimited JSON over TCP. Raises OSError."""
    _, writer = await asyncio.open_connection("127.0.0.1", subscription.port)
    try:
        writer.write(b"".join(record + b"\n" for record in batch))
        await writer.drain()
    finally:
        writer.close()
