"""The records of the last invocations. Their number and their memory have limits."""

from __future__ import annotations

from collections import deque
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
    """Holds the records of the last ``most`` requests, with up to ``memory`` bytes of their data.

    If the data takes more memory, that of the oldest records is dropped; they stay in the list without it. This also
    applies to requests in progress. ``keeps_bodies`` is False if bodies are left out. ``running`` contains the records
    of the requests in progress, from the oldest to the newest. Each function in ``watches`` is called after a change.
    """

    def __init__(self, most: int = RECORDS, memory: int = MEMORY, *, keeps_bodies: bool = True) -> None:
        self.running: dict[RequestRecord, None] = {}
        self.watches: list[Watch] = []
        self.memory = 0
        self._most = most
        self._limit = memory
        self._keeps_bodies = keeps_bodies
        self._count = 0
        self._records: dict[int, RequestRecord] = {}
        # The records whose data was not dropped yet, from the oldest to the newest.
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
        record.on_change = self._note
        self._records[record.number] = record
        self._full.append(record)
        self.running[record] = None
        while len(self._records) > self._most:
            self._remove(next(iter(self._records)))
        self._note(record, record.memory)

    def end(self, record: RequestRecord) -> None:
        """Note that the client has its response. The environment may still be busy with the invocation."""
        record.is_over = True
        self.running.pop(record, None)
        if not record.event:
            # A request without an event can have large headers as well.
            record.changed(sum(len(name) + len(value) for name, value in record.client_headers))
        else:
            record.changed()

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
        self.memory -= record.memory
        record.leave()

    def _note(self, record: RequestRecord, grown: int) -> None:
        self.memory += grown
        while self.memory > self._limit and self._full:
            self.memory -= self._full.popleft().drop()
        while self.memory > self._limit and len(self._records) > 1:
            self._remove(next(iter(self._records)))
        for watch in self.watches:
            watch(record)
