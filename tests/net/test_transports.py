"""The end of a connection whose peer has gone, at every moment: no error is raised, and none is logged."""

from __future__ import annotations

import asyncio
import socket
import struct

import pytest

from adapter.net.transports import end_sending, reset_on_close

PATIENCE = 10.0
# More than a socket takes at once.
MUCH = 4 * 1024 * 1024


class Ending(asyncio.Protocol):
    """Ends its sending side as a real protocol does. If ``leaves``, the peer goes away in the moment before that."""

    def __init__(self, peer: socket.socket, *, leaves: bool) -> None:
        self._peer = peer
        self._leaves = leaves
        self.ended = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def end(self) -> None:
        if self._leaves and not self._transport.get_write_buffer_size():
            reset(self._peer)
        end_sending(self._transport)

    def resume_writing(self) -> None:
        self.end()
        self.ended.set()


def reset(peer: socket.socket) -> None:
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


async def connected(peer: socket.socket, *, leaves: bool) -> tuple[asyncio.Transport, Ending]:
    """Connect ``peer`` to a protocol in this loop."""
    loop = asyncio.get_running_loop()
    made: asyncio.Future[Ending] = loop.create_future()

    def accept() -> Ending:
        protocol = Ending(peer, leaves=leaves)
        made.set_result(protocol)
        return protocol

    peer.setblocking(False)
    server = await loop.create_server(accept, "127.0.0.1", 0)
    await loop.sock_connect(peer, server.sockets[0].getsockname())
    protocol = await asyncio.wait_for(made, PATIENCE)
    await asyncio.sleep(0)
    server.close()
    return protocol._transport, protocol


@pytest.mark.parametrize("size", [0, MUCH], ids=["at-once", "after-the-written-data"])
@pytest.mark.parametrize("leaves", [False, True], ids=["peer-stays", "peer-leaves"])
async def test_sending_ends_after_all_written_data_and_never_with_an_error(size: int, leaves: bool) -> None:
    loop = asyncio.get_running_loop()
    faults: list[object] = []
    loop.set_exception_handler(lambda _, context: faults.append(context))
    with socket.socket() as peer:
        transport, protocol = await connected(peer, leaves=leaves)
        transport.write(bytes(size))
        assert bool(transport.get_write_buffer_size()) == bool(size)
        protocol.end()
        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
            reading = group.create_task(read_all(peer))
            if leaves and size:
                await protocol.ended.wait()
            if leaves:
                reading.cancel()
    transport.abort()
    await asyncio.sleep(0)
    assert faults == []
    assert leaves or reading.result() == size


async def read_all(peer: socket.socket) -> int:
    """Return how many bytes come before the end."""
    count = 0
    while piece := await asyncio.get_running_loop().sock_recv(peer, 65536):
        count += len(piece)
    return count


async def test_a_connection_that_is_lost_can_be_made_to_reset() -> None:
    with socket.socket() as peer:
        transport, _ = await connected(peer, leaves=False)
        reset(peer)
        reset_on_close(transport)
        transport.abort()
        await asyncio.sleep(0)
