"""The resource of a REST API: which paths it covers, and what an event says of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from adapter.payload.request_target import percent_decode

if TYPE_CHECKING:
    from adapter.payload.messages import Request

_PARAMETER = re.compile(r"\{(\w+)(\+?)\}")


def add_resource(event: dict[str, Any], request: Request, resource: str) -> bool:
    """Complete ``event`` as API Gateway does for ``resource``; False where the resource does not cover the path.

    ``{name}`` stands for one segment, ``{name+}`` at the end for one or more. A greedy resource at the root has the
    root itself beside it, as the templates that make one always do.
    """
    path = request.target.partition("?")[0]
    if path == "/" and resource == "/{proxy+}":
        resource = "/"
    found = _pattern(resource).fullmatch(path)
    if found is None:
        return False
    event["resource"] = event["requestContext"]["resourcePath"] = resource
    event["pathParameters"] = {name: percent_decode(value) for name, value in found.groupdict().items()} or None
    return True


def _pattern(resource: str) -> re.Pattern[str]:
    parts = []
    position = 0
    for found in _PARAMETER.finditer(resource):
        parts += [re.escape(resource[position : found.start()]), f"(?P<{found[1]}>{'.+' if found[2] else '[^/]+'})"]
        position = found.end()
    return re.compile("".join(parts) + re.escape(resource[position:]))
