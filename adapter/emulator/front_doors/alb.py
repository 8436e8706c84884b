"""The two front doors of an Application Load Balancer: with multi-value headers off, and with them on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from adapter.aws.limits import KIB, MIB
from adapter.emulator.front_doors.door_rules import DoorRules, Reason
from adapter.payload.event import FORMATS
from adapter.payload.status_line import status_line

if TYPE_CHECKING:
    from adapter.payload.headers import Headers


def error_body(status: int, _message: str) -> tuple[Headers, bytes]:
    """Return the headers and the HTML page of a load balancer's error response, as others have published it [seen]."""
    line = "413 Request Entity Too Large" if status == 413 else status_line(status)
    lines = (
        "<html>",
        f"<head><title>{line}</title></head>",
        "<body>",
        f"<center><h1>{line}</h1></center>",
        "</body>",
        "</html>",
        "",
    )
    return [("server", "awselb/2.0"), ("content-type", "text/html")], "\r\n".join(lines).encode()


ALB = DoorRules(
    name="alb",
    title="a load balancer",
    codec=FORMATS["alb"],
    head_limit=64 * KIB,
    line_limit=16 * KIB,
    body_limit=MIB,
    response_limit=MIB,
    refuses_upgrades=True,
    # The default of the attribute routing.http.xff_header_processing.mode is "append".
    extends_forwarded_for=True,
    error_body=error_body,
    # AWS does not document the answer to a throttled invocation [unsure].
    errors={Reason.HEAD_TOO_LARGE: (400, "Bad Request"), Reason.THROTTLED: (502, "Bad Gateway")},
)
ALB_MULTI_VALUE = replace(
    ALB, name="alb-multi-value", title="a load balancer with multi-value headers", codec=FORMATS["alb-multi-value"]
)
