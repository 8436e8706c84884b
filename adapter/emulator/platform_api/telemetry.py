"""The telemetry of one environment: its subscribers, and the delivery of records to them.

Extensions can subscribe until the init phase ends. Until then all records are kept, so that a late subscriber receives
the earlier records too. Each subscriber has its own buffer and one task, ``deliver``. The task sends the buffer when
the buffer is full, or when the first record in the buffer has waited as long as the subscription's timeout. If a
subscriber is too slow, records are dropped. A later record reports the number of dropped records.
"""

from __future__ import annotations

import asyncio
from time import time
from typing import TYPE_CHECKING, Any

import orjson

from adapter.emulator.environment.condition import Condition
from adapter.logs import utc_timestamp

if TYPE_CHECKING:
    from adapter.emulator.platform_api.subscription import Subscription

# The maximum size of a subscriber's buffer, as a multiple of ``max_bytes`` (AWS, "Buffering configuration": payloads
# may be twice as large).
_WAITING_LIMIT = 2
# The pauses between the attempts to deliver a batch, in seconds. If the last attempt fails, the batch is dropped.
_BACKOFF = (0.05, 0.2, 1.0, 3.0)
_SLOW = "Consumer seems to have fallen behind as it has not acknowledged receipt of logs."


class Telemetry:
    """Distributes records to the subscribed extensions of one environment. Call ``start`` before ``subscribe``.

    ``is_closed`` is True once extensions can no longer subscribe. If no extension has subscribed by that time,
    ``is_wanted`` becomes False, and all later records are ignored.
    """

    def __init__(self) -> None:
        self._group: asyncio.TaskGroup | None = None
        self._subscribers: dict[str, Subscriber] = {}
        self._early: list[tuple[str, str, bytes]] = []
        self.is_wanted = True
        self.is_closed = False

    def start(self, group: asyncio.TaskGroup) -> None:
        """Set the task group in which the subscribers' tasks run."""
        self._group = group

    def emit(self, type_: str, category: str, record: Any) -> None:
        """Add a record to the buffer of each subscriber that has subscribed to records of this type and category."""
        if not self.is_wanted:
            return
        encoded = _encode(type_, record)
        for subscriber in self._subscribers.values():
            subscriber.add(type_, category, encoded)
        if not self.is_closed:
            self._early.append((type_, category, encoded))

    def emit_platform(self, kind: str, **record: Any) -> None:
        """Emit a record of the type ``platform.{kind}``, with ``record`` as its fields."""
        self.emit(f"platform.{kind}", "platform", record)

    def api_of(self, name: str) -> str:
        """Return the name of the API through which extension ``name`` has subscribed. Return "" if it has not."""
        subscriber = self._subscribers.get(name)
        return "" if subscriber is None else subscriber.subscription.api.name

    def subscribe(self, name: str, subscription: Subscription) -> None:
        """Subscribe the extension ``name``. A second subscription replaces the first."""
        if name in self._subscribers:
            self._subscribers[name].subscription = subscription
        else:
            subscriber = self._subscribers[name] = Subscriber(subscription)
            for early in self._early:
                subscriber.add(*early)
            assert self._group is not None, "telemetry has started"
            self._group.create_task(subscriber.deliver())
        kind = f"{subscription.api.name}Subscription"
        self.emit_platform(kind, name=name, state="Subscribed", types=list(subscription.types))

    def close(self) -> None:
        """Refuse later subscriptions, and discard the records kept for them. Call this at the end of init."""
        self.is_closed = True
        self.is_wanted = bool(self._subscribers)
        self._early.clear()

    async def flush(self) -> None:
        """Send all buffered records without further delay, and wait until they are delivered or dropped."""
        for subscriber in self._subscribers.values():
            await subscriber.flush()

    def end(self) -> None:
        """Stop all deliveries. Records that are still in a buffer are discarded."""
        for subscriber in self._subscribers.values():
            subscriber.end()


class Subscriber:
    """The buffer of one subscriber, and its delivery.

    ``_dropped`` has the number and the total size in bytes of the dropped records that have not been reported yet.
    """

    def __init__(self, subscription: Subscription) -> None:
        self.subscription = subscription
        self._records: list[bytes] = []
        self._size = 0
        self._dropped = [0, 0]
        self._is_flushing = False
        self._is_sending = False
        self._has_ended = False
        self._condition = Condition()

    def add(self, type_: str, category: str, record: bytes) -> None:
        """Append a record to the buffer if the subscription includes it. If the buffer is full, drop the record."""
        if not self.subscription.wants(type_, category):
            return
        if self._size + len(record) > _WAITING_LIMIT * self.subscription.max_bytes:
            self._drop([record])
            return
        self._records.append(record)
        self._size += len(record)
        self._condition.notify()

    async def flush(self) -> None:
        """Send all records without further delay, and wait until they are sent or dropped."""
        self._is_flushing = True
        self._condition.notify()
        await self._condition.wait_for(lambda: self._has_ended or not (self._records or self._is_sending))
        self._is_flushing = False

    def end(self) -> None:
        """Make ``deliver`` return. Records that are still in the buffer are discarded."""
        self._has_ended = True
        self._condition.notify()

    async def deliver(self) -> None:
        """Send the buffer in batches until ``end`` is called."""
        while not self._has_ended:
            await self._condition.wait_for(lambda: self._has_ended or bool(self._records))
            try:
                async with asyncio.timeout(self.subscription.timeout):
                    await self._condition.wait_for(self._is_due)
            except TimeoutError:
                pass
            if not self._has_ended:
                await self._send_batch()

    def _is_due(self) -> bool:
        full = len(self._records) >= self.subscription.max_items or self._size >= self.subscription.max_bytes
        return full or self._is_flushing or self._has_ended

    async def _send_batch(self) -> None:
        batch = self._records[: self.subscription.max_items]
        self._records = self._records[len(batch) :]
        self._size -= sum(map(len, batch))
        self._is_sending = True
        if not await self._send(batch):
            self._drop(batch)
        elif self._dropped[0]:
            (count, size), self._dropped = self._dropped, [0, 0]
            record = {"droppedBytes": size, "droppedRecords": count, "reason": _SLOW}
            self._records.insert(0, _encode("platform.logsDropped", record))
            self._size += len(self._records[0])
        self._is_sending = False
        self._condition.notify()

    def _drop(self, dropped: list[bytes]) -> None:
        self._dropped[0] += len(dropped)
        self._dropped[1] += sum(map(len, dropped))

    async def _send(self, batch: list[bytes]) -> bool:
        """Send a batch, with retries. Return True if an attempt succeeded, or False if all attempts failed."""
        for pause in (*_BACKOFF, None):
            try:
                await (_post if self.subscription.protocol == "HTTP" else _write)(self.subscription, batch)
            except (OSError, ValueError):
                if pause is None or self._has_ended:
                    return False
                await asyncio.sleep(pause)
            else:
                return True
        raise AssertionError("the last attempt returns")


def _encode(type_: str, record: Any) -> bytes:
    return orjson.dumps({"time": utc_timestamp(time()), "type": type_, "record": record})


async def _post(subscription: Subscription, batch: list[bytes]) -> None:
    """Send a batch as a JSON array in one HTTP request. Raises OSError or ValueError if the request fails."""
    import aiohttp  # imported only if an extension subscribes, since loading it takes 0.1 s

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
    """Send a batch as newline-delimited JSON over TCP. Raises OSError if the connection fails."""
    _, writer = await asyncio.open_connection("127.0.0.1", subscription.port)
    try:
        writer.write(b"".join(record + b"\n" for record in batch))
        await writer.drain()
    finally:
        writer.close()
