"""Where a stream is cut: by bytes of the body, wherever the prelude and the pieces end."""

from __future__ import annotations

import pytest

from tests.emulator.scripted import local_lambda, prelude
from tests.emulator.scripts import streaming

HEAD = prelude(headers={"x-a": "1"})
BODY = b"0123456789"
WHOLE = HEAD + BODY


@pytest.mark.parametrize("cut", range(len(HEAD) - 9, len(WHOLE)))
async def test_the_body_is_counted_from_its_first_byte_however_the_prelude_is_split(cut: int) -> None:
    async with local_lambda(streaming(WHOLE[:cut], WHOLE[cut:]), faults="truncate=4") as local:
        response = await local.request("GET", "/")
        assert (response.status, response.header("x-a"), response.body, response.is_cut) == (200, "1", b"0123", True)


async def test_a_prelude_that_comes_byte_by_byte_is_counted_as_none_of_the_body() -> None:
    pieces = [WHOLE[number : number + 1] for number in range(len(WHOLE))]
    async with local_lambda(streaming(*pieces), faults="truncate=4") as local:
        assert (await local.request("GET", "/")).body == b"0123"


async def test_without_a_prelude_the_first_byte_counts() -> None:
    script = streaming(b"01", b"23456789", **{"Content-Type": "text/csv"})
    async with local_lambda(script, faults="truncate=4") as local:
        assert (await local.request("GET", "/")).body == b"0123"


async def test_two_faults_may_strike_one_stream() -> None:
    async with local_lambda(streaming(HEAD, BODY), faults="fill,truncate=4") as local:
        response = await local.request("GET", "/")
        assert (response.body, response.is_cut) == (b"0123", True)
        assert (await local.visit()).error_type == "Runtime.TruncatedResponse"


async def test_a_kill_leaves_nothing_out_of_what_has_left_the_app_by_then() -> None:
    async with local_lambda(streaming(HEAD + BODY[:7], BODY[7:]), faults="kill=4") as local:
        response = await local.request("GET", "/")
        assert BODY.startswith(response.body)
        assert response.is_cut == (response.body != BODY)
