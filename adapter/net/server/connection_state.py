"""The states of a client's connection, and the events that change them, as a table. No I/O and no clock.

The state defines what the next bytes from the client mean:

    idle              no byte of the next request has arrived; the next byte begins a request head
    head              a request head has begun
    body              the head is complete, and the body is arriving
    done              the latest request has arrived, and responses are outstanding; a pipelined request may follow
    upgrade offered   like done, but the latest request offers to switch protocols; the bytes after that request are
                      kept until the response shows whether they are HTTP
    tunnel            the connection has switched protocols, so the bytes are not HTTP
    ended             the client has closed its sending side, so no more bytes arrive; responses are outstanding
    refused           the client broke the protocol or a limit; the bytes are ignored, and the refusal is sent once all
                      earlier requests are answered
    draining          the final response is sent; the rest of the request body is discarded
    lingering         the refusal is sent; the bytes are discarded until the client closes its sending side
    closing           no more bytes are read; data that is already written is still sent
    closed            the connection has ended

Rules:

- Requests may be pipelined. So the state describes the request that is arriving, not the request that is being served.
  Requests that have arrived wait in a queue.
- A request that arrives in one piece skips the state ``HEAD``.
- ``ALL_ANSWERED`` happens when the queue becomes empty. Before that, the connection does not become idle, no
  refusal is sent, and no upgrade is declined. Only the last request of the queue can offer an upgrade, since the bytes
  after an offer are not parsed.
- ``LAST_ANSWERED`` is the end of a response after which the connection must not be used again. If the server closed the
  connection while the client is still sending, the connection would be reset, and the client could lose the response.
  So the server waits for the client in ``DRAINING`` and ``LINGERING``, for a limited time.
- ``CLOSE`` and ``LOST`` may happen in every state except ``CLOSED``.

Some states have a time limit (``state_timeouts``). An event that is not in the row of the current state is an internal
error of the server. It raises ``IllegalTransition``, which ends the connection. The table is modeled on h11's
``_state.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NewType

if TYPE_CHECKING:
    from adapter.net.server.server_limits import Limits

# States and events are compared with ``is``. They are not Enum members, which are slower to look up.
ConnectionState = NewType("ConnectionState", str)
ConnectionEvent = NewType("ConnectionEvent", str)


class IllegalTransition(Exception):
    """An event that is not allowed in the current state. The cause is always a bug of the server, never the client."""

    def __init__(self, state: ConnectionState, event: ConnectionEvent) -> None:
        super().__init__(f"the event {event!r} is not allowed in the state {state!r}")


IDLE: Final = ConnectionState("idle")
HEAD: Final = ConnectionState("head")
BODY: Final = ConnectionState("body")
DONE: Final = ConnectionState("done")
UPGRADE_OFFERED: Final = ConnectionState("upgrade offered")
TUNNEL: Final = ConnectionState("tunnel")
ENDED: Final = ConnectionState("ended")
REFUSED: Final = ConnectionState("refused")
DRAINING: Final = ConnectionState("draining")
LINGERING: Final = ConnectionState("lingering")
CLOSING: Final = ConnectionState("closing")
CLOSED: Final = ConnectionState("closed")

HEAD_BEGUN: Final = ConnectionEvent("a request head has begun")
HEAD_COMPLETE: Final = ConnectionEvent("a request head is complete")
BODY_COMPLETE: Final = ConnectionEvent("a request is complete")
OFFER: Final = ConnectionEvent("the request offers an upgrade")
SWITCH: Final = ConnectionEvent("the response accepts the upgrade")
EOF: Final = ConnectionEvent("the client has closed its sending side")
REFUSE: Final = ConnectionEvent("the client broke the protocol or a limit")
ALL_ANSWERED: Final = ConnectionEvent("all requests that have arrived are answered")
LAST_ANSWERED: Final = ConnectionEvent("the final response of the connection is complete")
CLOSE: Final = ConnectionEvent("the server closes the connection")
LOST: Final = ConnectionEvent("the connection is lost")

_ALWAYS: Final = {CLOSE: CLOSING, LOST: CLOSED}
# In these states, received bytes are discarded unparsed.
DISCARDING: Final = frozenset({REFUSED, LINGERING, CLOSING})

TRANSITIONS: Final[dict[ConnectionState, dict[ConnectionEvent, ConnectionState]]] = {
    IDLE: {HEAD_BEGUN: HEAD, HEAD_COMPLETE: BODY, REFUSE: REFUSED, **_ALWAYS},
    HEAD: {HEAD_COMPLETE: BODY, REFUSE: REFUSED, EOF: ENDED, ALL_ANSWERED: HEAD, LAST_ANSWERED: CLOSING, **_ALWAYS},
    BODY: {BODY_COMPLETE: DONE, REFUSE: REFUSED, EOF: ENDED, LAST_ANSWERED: DRAINING, **_ALWAYS},
    DONE: {
        HEAD_BEGUN: HEAD,
        HEAD_COMPLETE: BODY,
        OFFER: UPGRADE_OFFERED,
        REFUSE: REFUSED,
        EOF: ENDED,
        ALL_ANSWERED: IDLE,
        LAST_ANSWERED: CLOSING,
        **_ALWAYS,
    },
    UPGRADE_OFFERED: {SWITCH: TUNNEL, EOF: UPGRADE_OFFERED, ALL_ANSWERED: IDLE, LAST_ANSWERED: CLOSING, **_ALWAYS},
    TUNNEL: {EOF: TUNNEL, LAST_ANSWERED: CLOSING, **_ALWAYS},
    ENDED: {ALL_ANSWERED: CLOSING, LAST_ANSWERED: CLOSING, **_ALWAYS},
    REFUSED: {EOF: REFUSED, ALL_ANSWERED: LINGERING, LAST_ANSWERED: LINGERING, **_ALWAYS},
    DRAINING: {BODY_COMPLETE: CLOSING, REFUSE: CLOSING, **_ALWAYS},
    LINGERING: _ALWAYS,
    # A request may still be served after its connection has ended.
    CLOSING: {SWITCH: CLOSING, EOF: CLOSING, ALL_ANSWERED: CLOSING, LAST_ANSWERED: CLOSING, **_ALWAYS},
    CLOSED: {SWITCH: CLOSED, ALL_ANSWERED: CLOSED, LAST_ANSWERED: CLOSED},
}


def state_timeouts(limits: Limits) -> dict[ConnectionState, float]:
    """Return the time limit of each state in seconds. States without an entry have no time limit."""
    return {
        IDLE: limits.keep_alive_timeout,
        HEAD: limits.head_timeout,
        DRAINING: limits.linger_timeout,
        LINGERING: limits.linger_timeout,
        CLOSING: limits.flush_timeout,
    }
