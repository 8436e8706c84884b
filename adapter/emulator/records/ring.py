"""The records of the newest requests. The number and the memory of the records have limits."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeAlias

from adapter.aws.limits import MIB

if TYPE_CHECKING:
    from adapter.emulator.records.record import RequestRecord

# The default limits: the number of records, and the memory of all of them in bytes.
RECORDS = 500
MEMORY = 16 * MIB

#: Receives a record that has changed, or None if the ring was cleared.
Watch: TypeAlias = "Callable[[RequestRecord | None], None]"


class RecordRing:
    """Holds the records of the newest requests: up to ``most`` records, with up to ``memory`` bytes of data.

    If the data exceeds ``memory``, the data of the oldest records is dropped first. If that is not enough, the oldest
    records are removed. This also applies to the records of requests in progress. ``keeps_bodies`` is False if no
    bodies are stored. ``running`` contains the records of the requests in progress, from the oldest to the newest. Each
    function in ``watches`` is called after a change.
    """

    def __init__(self, most: int = RECORDS, memory: int = MEMORY, *, keeps_bodies: bool = True) -> None:
        self.running: dict[RequestRecord, None] = {}
        self.watches: list[Watch] = []
        #: Called once for each invocation, when its client has the response and its environment has finished it.
        self.on_finished: Callable[[RequestRecord], None] | None = None
        self.memory = 0
        self._most = most
        self._limit = memory
        self._keeps_bodies = keeps_bodies
        self._count = 0
        # Ordered, because finding the first key of a dict takes longer with each key that was removed before it.
        self._records: OrderedDict[int, RequestRecord] = OrderedDict()
        # The records whose data has not been dropped, from the oldest to the newest.
        self._full: deque[RequestRecord] = deque()

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[RequestRecord]:
        return iter(self._records.values())

    def find(self, number: int) -> RequestRecord | None:
        """Return the record with ``number``, or None if the ring does not contain it."""
        return self._records.get(number)

    def begin(self, record: RequestRecord) -> None:
        """Add the record of a request that has arrived."""
        self._count += 1
        record.number, record.keeps_bodies = self._count, self._keeps_bodies
        record.on_change, record.watches = self._note, self.watches
        self._records[record.number] = record
        self._full.append(record)
        self.running[record] = None
        while len(self._records) > self._most:
            self._remove(next(iter(self._records)))
        self._note(record)

    def end(self, record: RequestRecord) -> None:
        """Record that the client has its response. The environment may still be busy with the invocation."""
        record.is_over = True
        self.running.pop(record, None)
        if not record.event:
            # A request without an event can have large headers as well.
            record.memory += sum(len(name) + len(value) for name, value in record.client_headers)
        record.on_change(record)

    def clear(self) -> None:
        """Remove all records."""
        for number in list(self._records):
            self._remove(number)
        for watch in self.watches:
            watch(None)

    def _remove(self, number: int) -> None:
        record = self._records.pop(number)
        if self._full and self._full[0] is record:
            self._full.popleft()
        self.memory -= record.counted_memory
        record.leave(self._note_removed)

    def _note(self, record: RequestRecord) -> None:
        self._count_memory(record)
        while self.memory > self._limit and self._full:
            oldest = self._full.popleft()
            oldest.drop()
            self._count_memory(oldest)
        while self.memory > self._limit and len(self._records) > 1:
            self._remove(next(iter(self._records)))
        self._note_removed(record)
        for watch in self.watches:
            watch(record)

    def _count_memory(self, record: RequestRecord) -> None:
        self.memory += record.memory - record.counted_memory
        record.counted_memory = record.memory

    def _note_removed(self, record: RequestRecord) -> None:
        """Call ``on_finished`` once the record's invocation is over. The ring may already have removed the record."""
        if record.concluded is not None and record.is_over and not record.is_counted:
            self._finish(record)

    def _finish(self, record: RequestRecord) -> None:
        record.is_counted = True
        if self.on_finished is not None:
            self.on_finished(record)
