"""The traffic of the soak test. Each request begins at its due time, whether or not earlier ones have ended."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from time import monotonic

from aiohttp import ClientError, ClientPayloadError, ClientSession, ClientTimeout, TCPConnector

# The share of each kind of request.
MIX = {"small": 0.62, "stream": 0.12, "upload": 0.12, "large": 0.06, "leave": 0.05, "fail": 0.03}
UPLOAD = b"u" * 64 * 1024
# The time after which a request counts as lost, in seconds.
PATIENCE = 30.0


@dataclass(slots=True)
class Outcomes:
    """The results of all requests. ``milliseconds`` are the durations of small requests since their due time."""

    sent: int = 0
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    milliseconds: list[float] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    def of(self, outcome: str) -> int:
        return sum(count for (_, each), count in self.counts.items() if each == outcome)


class Traffic:
    """Sends ``rate`` requests a second to ``port`` for ``seconds``, at equal intervals.

    The kinds of the requests are random with a fixed seed. ``name`` is a part of every request's ID.
    """

    def __init__(self, port: int, name: str, *, rate: float, seconds: float) -> None:
        self._name = name
        self._url = f"http://127.0.0.1:{port}"
        self._rate = rate
        self._seconds = seconds
        self._lots = random.Random(1)
        self.outcomes = Outcomes()

    async def run(self) -> None:
        # A new connection for each request: if a kept connection was closed, this client would silently repeat a GET.
        connector = TCPConnector(limit=0, force_close=True)
        timeout = ClientTimeout(total=PATIENCE)
        async with (
            ClientSession(connector=connector, timeout=timeout, auto_decompress=False) as session,
            asyncio.TaskGroup() as group,
        ):
            began = monotonic()
            for number in range(round(self._rate * self._seconds)):
                due = began + number / self._rate
                await asyncio.sleep(max(0.0, due - monotonic()))
                kind = self._lots.choices(list(MIX), weights=list(MIX.values()))[0]
                self.outcomes.sent += 1
                group.create_task(self._ask(session, kind, f"{self._name}-{kind}-{number}", due))

    async def _ask(self, session: ClientSession, kind: str, identifier: str, due: float) -> None:
        try:
            outcome = await self._outcome(session, kind, identifier)
        except ClientPayloadError:
            outcome = "cut"
        except (ClientError, TimeoutError, OSError) as error:
            outcome = "lost"
            self.outcomes.lost.append(f"{identifier}: {error!r}")
        self.outcomes.counts[kind, outcome] += 1
        if (kind, outcome) == ("small", "whole"):
            self.outcomes.milliseconds.append((monotonic() - due) * 1000)

    async def _outcome(self, session: ClientSession, kind: str, identifier: str) -> str:
        path = "stream" if kind == "leave" else kind
        method, body = ("POST", UPLOAD) if kind == "upload" else ("GET", None)
        async with session.request(method, f"{self._url}/{path}/{identifier}", data=body) as response:
            if response.status != (500 if kind == "fail" else 200):
                await response.read()
                return "error"
            if kind == "leave":
                await response.content.readany()
                response.close()
                return "left"
            received = await response.read()
        if not received.startswith(f"{identifier}\n".encode()):
            self.outcomes.lost.append(f"{identifier}: the answer belongs to another request: {received[:60]!r}")
            return "lost"
        return "whole"
