"""The front door of a VPC Lattice service, with both versions of its event."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from adapter.aws.limits import MIB
from adapter.emulator.front_doors.door_rules import COMMON_ERRORS, DoorRules, Reason
from adapter.payload.event import FORMATS

if TYPE_CHECKING:
    from adapter.payload.headers import Headers


def _error_body(_status: int, message: str) -> tuple[Headers, bytes]:
    return [("content-type", "text/plain")], message.encode()


LATTICE = DoorRules(
    name="lattice",
    title="a VPC Lattice service",
    codec=FORMATS["lattice-v2"],
    response_limit=6 * MIB,
    error_body=_error_body,
    # The limits are documented; the statuses and texts of the errors are not [unsure].
    errors={
        **COMMON_ERRORS,
        Reason.BODY_TOO_LARGE: (413, "Payload Too Large"),
        Reason.EVENT_TOO_LARGE: (413, "Payload Too Large"),
        Reason.THROTTLED: (503, "Service Unavailable"),
    },
)

LATTICE_V1 = replace(
    LATTICE,
    name="lattice-v1",
    title="a VPC Lattice service, event version 1",
    codec=FORMATS["lattice-v1"],
)
