"""A front door: any method and any path, HTTP in, an invocation, HTTP out. What is special to one is in door_rules.

A request is served to its end whether or not its client waits for it, because on Lambda the function is not told.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from adapter.emulator.environment.invocation import LocalInvocation, new_request_id, new_trace_id
from adapter.emulator.front_doors.door_response import DoorResponse
from adapter.emulator.front_doors.request_event import RefusedError, request_event
from adapter.emulator.requests.client_response import ClientSide
from adapter.emulator.requests.request_record import RequestRecord
from adapter.net.server import BodyTruncatedError
from adapter.payload.request_target import path_alone

if TYPE_CHECKING:
    from adapter.emulator.front_doors.settings import DoorSettings
    from adapter.emulator.requests.pipeline import InvocationPipeline
    from adapter.net.server import Exchange
    from adapter.payload.headers import Headers


class FrontDoor:
    """One front door of the function behind ``entrance``; ``report`` is given every visit that is over."""

    def __init__(
        self, entrance: InvocationPipeline, door: DoorSettings, report: Callable[[RequestRecord], None]
    ) -> None:
        self._entrance = entrance
        self._door = door
        self._report = report

    async def serve(self, exchange: Exchange) -> None:
        """Answer one request."""
        clock = asyncio.get_running_loop().time
        # Secrets travel in queries, and what is shown here ends up in bug reports.
        path = path_alone(exchange.target)
        request_id, trace_id = new_request_id(), new_trace_id(time.time())
        visit = RequestRecord(method=exchange.method, target=path, door=self._door.rules.name, request_id=request_id)
        client = ClientSide(exchange, visit, clock, self._request_id_headers(request_id, trace_id))
        try:
            event = await request_event(exchange, self._door, request_id, trace_id)
        except RefusedError as refusal:
            visit.error_type, visit.refused = str(refusal), True
            await client.respond(*self._door.rules.error(refusal.reason))
        except BodyTruncatedError:
            visit.error_type = "no invocation, the request broke off"
            visit.client_left = True
        else:
            label = f"{exchange.method} {path}"
            call = LocalInvocation(label=label, event=event, request_id=request_id, trace_id=trace_id)
            admitted = self._entrance.admit(call, exchange.headers, source=self._door.rules.name)
            client.drop_after = admitted.drop_after
            await DoorResponse(client, visit, self._door).send(admitted.answer())
            visit.init, visit.restore = call.init_seconds, call.restore_seconds
        self._report(visit)

    def _request_id_headers(self, request_id: str, trace_id: str) -> Headers:
        request_id_headers = [(name, request_id) for name in self._door.rules.request_id_headers]
        return [*request_id_headers, ("X-Amzn-Trace-Id", trace_id)] if request_id_headers else []
