"""Paths that no client may request, in the spellings that a router may take for them."""

from __future__ import annotations

import pytest

from adapter.payload.reserved_paths import ReservedPaths

HOOK = ReservedPaths(["/internal/Before?x=1", None])

SPELLINGS = [
    "/internal/Before",
    "/internal/before",
    "/INTERNAL/BEFORE?q",
    "/internal/before/",
    "/internal/before//",
    "//internal//before",
    "/internal/./before",
    "/internal/x/../before",
    "/x/../internal/before",
    "/../internal/before",
    "/internal/before/.",
    "/internal/before/x/..",
    "/internal/before;x=1",
    "/internal;v=2/before;",
    "/x/..;/internal/before",
    "/internal%2Fbefore",
    "/internal%5Cbefore",
    "/internal\\before",
    "/%69nternal/b%65fore",
    "/internal/b%2565fore",
    "/internal/%2e%2e/internal/before",
    "/internal/before%20",
    "/internal/before%00",
    "/internal/before%00.html",
    "/internal/before%3Fx",
    "/internal/before%23x",
    "/internal/before%3Bx",
    "/internal/before.",
    "/internal/%09before",
    "/x//../internal/before",
    "/x//../../internal/before",
    "/internal/before/x//../..",
    "/" + "a" * 20_000,
]


@pytest.mark.parametrize("target", SPELLINGS)
def test_a_spelling_that_a_router_may_accept_is_recognized(target: str) -> None:
    assert target in HOOK


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "*",
        "/internal",
        "/internal/before/x",
        "/internal/beforehand",
        "/x/internal/before",
        "/internal/x/before",
        "/?/internal/before",
        "/a%20b",
        "/internal/bef%ffore",
        "/internal/bef%2525252525256fore",
        "/q?" + "a" * 20_000,
    ],
)
def test_other_paths_are_not(target: str) -> None:
    assert target not in HOOK


def test_without_paths_nothing_is_reserved() -> None:
    assert not ReservedPaths([None, None])
    assert HOOK
