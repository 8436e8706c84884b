"""The two front doors of VPC Lattice, one for each version of its events."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from adapter.aws.limits import MIB
from adapter.emulator.front_doors.door_rules import DoorRules, Reason
from adapter.payload.event import FORMATS

if TYPE_CHECKING:
    from adapter.payload.headers import Headers


def error_body(_status: int, message: str) -> tuple[Headers, bytes]:
    return [("content-type", "text/plain")], message.encode()


LATTICE = DoorRules(
    name="lattice",
    title="a VPC Lattice service",
    codec=FORMATS["lattice-v2"],
    response_limit=6 * MIB,
    # In the sample events of both versions, the service itself adds only this header.
    forwarded=frozenset({"x-forwarded-for"}),
    error_body=error_body,
    # AWS documents the limits, but not the statuses and texts of the errors [unsure].
    errors={Reason.BODY_TOO_LARGE: (413, "Payload Too Large"), Reason.EVENT_TOO_LARGE: (413, "Payload Too Large")},
)
LATTICE_V1 = replace(
    LATTICE, name="lattice-v1", title="a VPC Lattice service, event version 1", codec=FORMATS["lattice-v1"]
)
