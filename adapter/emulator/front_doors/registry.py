"""The registry of front doors: their rules by name."""

from __future__ import annotations

from adapter.emulator.front_doors.alb import ALB, ALB_MULTI_VALUE
from adapter.emulator.front_doors.door_rules import DoorRules
from adapter.emulator.front_doors.function_url import FUNCTION_URL
from adapter.emulator.front_doors.http_api import HTTP_API
from adapter.emulator.front_doors.lattice import LATTICE, LATTICE_V1
from adapter.emulator.front_doors.rest_api import REST_API

#: The rules by name, in the order of the help texts (``config.parsers.FRONT_DOORS``).
DOORS: dict[str, DoorRules] = {
    rules.name: rules for rules in (FUNCTION_URL, HTTP_API, REST_API, ALB, ALB_MULTI_VALUE, LATTICE, LATTICE_V1)
}
