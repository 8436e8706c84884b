"""The paths of the app that no request from outside may reach, and the check whether a target leads to one of them.

The app's router decides what a path leads to, and the adapter does not know the router. So a path is compared in all
forms in which lenient routers may read it. A target is refused if one of these forms is reserved. Lenient routers do
some or all of the following:

- They ignore case, extra slashes and path parameters.
- They decode the path more than once.
- They resolve dot segments. Some of them remove empty segments first, others do so afterwards.
"""

from __future__ import annotations

from adapter.payload.request_target import percent_decode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Final

# How often a path is decoded at most. The worst known pair of a proxy and a router decodes it three times.
_MAX_DECODINGS = 4
# The longest path that is compared, in characters. A longer path counts as reserved, because comparing it would delay
# other requests. No server that is known for lenient routing accepts such a path. (Tomcat, IIS and nginx accept 8 to
# 16 KB for the whole request line.)
_MAX_PATH = 16 * 1024
# Some servers ignore white space and control characters at the end of a segment, or a dot (IIS).
_IGNORED_AT_END = "." + "".join(map(chr, range(0x21))) + "\x7f\x85\xa0"


class ReservedPaths:
    """The reserved paths. ``targets`` are these paths, with or without a query. An object without paths is falsy."""

    __slots__ = ("_forms",)

    def __init__(self, targets: Iterable[str | None]) -> None:
        paths = [_path_of(target) for target in targets if target is not None]
        self._forms: Final = {form for path in paths for form in _router_forms(path)}

    def __bool__(self) -> bool:
        return bool(self._forms)

    def __contains__(self, target: str) -> bool:
        """Return whether the app's router may read ``target`` as a reserved path. Pass the target that the app gets."""
        path = _path_of(target)
        return len(path) > _MAX_PATH or not self._forms.isdisjoint(_router_forms(path))


def _path_of(target: str) -> str:
    return target.partition("?")[0]


def _router_forms(path: str) -> set[tuple[str, ...]]:
    """Return the forms in which routers may read ``path``, each as a tuple of segments."""
    forms = set()
    for _ in range(_MAX_DECODINGS):
        segments = _segments(path)
        named = [segment for segment in segments if segment]
        forms |= {tuple(named), _resolved(named), _resolved(segments)}
        decoded = percent_decode(path)
        if decoded == path:
            break
        path = decoded
    return forms


def _segments(path: str) -> list[str]:
    """Return the case-folded segments of ``path`` without their parameters."""
    # A decoded "?", "#" or NUL ends the path for a router that decodes first.
    path = path.partition("?")[0].partition("#")[0].partition("\0")[0]
    return [_plain(segment) if segment else "" for segment in path.replace("\\", "/").split("/")]


def _plain(segment: str) -> str:
    plain = segment.partition(";")[0].strip(_IGNORED_AT_END[1:]).casefold()
    return plain if plain in (".", "..") else plain.rstrip(_IGNORED_AT_END)


def _resolved(segments: list[str]) -> tuple[str, ...]:
    """Resolve the dot segments (RFC 3986 section 5.2.4), then remove the empty segments. Return the result."""
    resolved: list[str] = []
    for segment in segments:
        if segment == "..":
            if resolved:
                resolved.pop()
        elif segment != ".":
            resolved.append(segment)
    return tuple([segment for segment in resolved if segment])
