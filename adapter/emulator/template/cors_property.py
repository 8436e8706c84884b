"""The CORS configuration of a template's function URL or HTTP API, in the form of a ``--cors`` value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from adapter.emulator.template.document import Path_
from adapter.emulator.template.intrinsics import NO_VALUE, Intrinsics, Unresolved

# The fields that ``CorsConfiguration: true`` stands for in SAM.
_ALL_ORIGINS = {"AllowOrigins": ["*"]}


def cors_fields(value: Any, path: Path_, intrinsics: Intrinsics, note: Callable[[Path_, str], None]) -> Any:
    """Return the fields of ``value``, with the types of AWS's API. Return None if ``value`` is absent or false.

    A part that exists only in a deployed stack is left unset, and ``note`` is called with its place and the reason.
    """
    resolved = _resolved(value, path, intrinsics, note)
    if resolved in (None, "false"):
        return None
    if resolved == "true":
        return _ALL_ORIGINS
    if not isinstance(resolved, dict):
        return resolved
    fields = {}
    for name, item in resolved.items():
        each = _resolved(item, (*path, name), intrinsics, note)
        if isinstance(each, list):
            items = (_resolved(one, (*path, name, str(index)), intrinsics, note) for index, one in enumerate(each))
            each = [one for one in items if one is not None]
        elif each in ("true", "false"):
            each = each == "true"
        elif isinstance(each, str) and each.lstrip("-").isdecimal():
            each = int(each)
        if each is not None:
            fields[name] = each
    return fields


def _resolved(value: Any, path: Path_, intrinsics: Intrinsics, note: Callable[[Path_, str], None]) -> Any:
    try:
        resolved = intrinsics.resolve(value)
    except Unresolved as reason:
        note(path, f"{reason}, so this part is left unset")
        return None
    return None if resolved is NO_VALUE else resolved
