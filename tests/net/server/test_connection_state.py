"""The table of a connection's states, walked; and what it holds for a connection, event by event."""

from __future__ import annotations

import asyncio
import socket

import pytest

from adapter.net.server import Exchange, HttpServer, Limits, connection_state
from adapter.net.server.connection import HttpConnection
from adapter.net.server.connection_state import CLOSED, IDLE, TRANSITIONS, ConnectionEvent, IllegalTransition
from fuzz.checks import MemoryTransport
from tests.net.server.serving import Recorder, happened, serving
from tests.raw_client import PATIENCE, raw_client

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"
OFFER = b"GET /offer HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"

EVENTS = {event for row in TRANSITIONS.values() for event in row}


@pytest.mark.parametrize("state", TRANSITIONS, ids=str)
@pytest.mark.parametrize("event", sorted(EVENTS), ids=str)
async def test_what_the_table_has_happens_and_everything_else_raises(
    state: connection_state.ConnectionState, event: ConnectionEvent
) -> None:
    with socket.socket() as unconnected:
        async with asyncio.TaskGroup() as group:
            connection = HttpConnection(HttpServer(Recorder(), group))
            connection.connection_made(MemoryTransport(unconnected))
            connection._state = state
            if event in TRANSITIONS[state]:
                connection._advance(event)
                assert connection._state is TRANSITIONS[state][event]
            else:
                with pytest.raises(IllegalTransition, match="is not allowed in the state"):
                    connection._advance(event)
                assert connection._state is state
            connection._state = IDLE
            connection.connection_lost(None)


def test_every_state_can_be_reached_and_left() -> None:
    reached = {IDLE}
    while further := {state for each in reached for state in TRANSITIONS[each].values()} - reached:
        reached |= further
    assert reached == set(TRANSITIONS)
    assert all(set(row.values()) - {state} for state, row in TRANSITIONS.items() if state is not CLOSED)


@pytest.mark.parametrize("where", ["callback", "task"])
async def test_an_illegal_transition_costs_one_connection_and_is_reported(where: str) -> None:
    faults: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context["exception"]))

    async def serve(exchange: Exchange) -> None:
        exchange.respond(200, [], b"ok")
        if exchange.target == "/offer" and where == "task":
            connection._state = connection_state.LINGERING

    async with serving(serve) as running:
        async with raw_client(running.port) as client:
            await client.send(GET)
            await client.answer()
            (connection,) = running.server._connections
            if where == "callback":
                connection._state = connection_state.ENDED
            await client.send(OFFER)
            if where == "task":
                await client.answer()
            assert await client.rest() == b""
        async with raw_client(running.port) as client:
            await client.send(GET)
            assert (await client.answer()).status == 200
    assert [type(fault) for fault in faults] == [IllegalTransition]


async def test_a_client_that_has_closed_its_side_is_closed_on_after_its_last_response() -> None:
    targets: list[str] = []

    async def serve(exchange: Exchange) -> None:
        await asyncio.shield(exchange.disconnected)
        targets.append(exchange.target)
        exchange.respond(200, [], b"ok")

    async with serving(serve, cancels=False, limits=Limits(keep_alive_timeout=60)) as running:
        async with raw_client(running.port) as client:
            await client.send(GET + OFFER + POST + b"GET / HT")
            client.half_close()
            assert [(await client.answer()).body for _ in range(3)] == [b"ok"] * 3
            assert await client.rest() == b""
        await asyncio.wait_for(running.server.wait_until_drained(), PATIENCE)
    assert targets == ["/", "/offer", "/"]


async def test_an_upgrade_is_declined_by_its_own_response_and_not_by_one_before() -> None:
    async def serve(exchange: Exchange) -> None:
        if exchange.target == "/offer":
            tunnel = exchange.switch_protocols([])
            await tunnel.write(await tunnel.read())
        else:
            exchange.respond(200, [], b"ok")

    async with serving(serve) as running, raw_client(running.port) as client:
        await client.send(GET + OFFER + b"not HTTP")
        assert (await client.answer()).body == b"ok"
        assert (await client.head()).status == 101
        assert await client.rest() == b"not HTTP"


async def test_protocols_are_not_switched_without_an_offer() -> None:
    refused = asyncio.Event()

    async def serve(exchange: Exchange) -> None:
        with pytest.raises(IllegalTransition):
            exchange.switch_protocols([])
        refused.set()
        exchange.respond(502, [], b"")

    async with serving(serve) as running, raw_client(running.port) as client:
        await client.send(GET)
        assert (await client.answer()).status == 502
        await happened(refused)


async def test_protocols_can_be_switched_for_a_client_that_has_gone() -> None:
    tunnelled: list[bytes] = []

    async def serve(exchange: Exchange) -> None:
        await asyncio.shield(exchange.disconnected)
        tunnel = exchange.switch_protocols([])
        tunnelled.append(await tunnel.read())
        tunnelled.append(await tunnel.read())

    async with serving(serve, cancels=False) as running, raw_client(running.port) as client:
        await client.send(OFFER + b"early")
        client.half_close()
        assert (await client.head()).status == 101
        assert await client.rest() == b""
    assert tunnelled == [b"early", b""]
