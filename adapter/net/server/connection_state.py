"""The states of one client's connection, as a table. No I/O and no clock.

A state says what the next bytes of the client mean:

    idle              nothing has come since the last response; the next byte begins a request head
    head              a request head has begun
    body              the head is complete, its body is arriving
    done              the last request has arrived whole, and responses are outstanding; a pipelined request may come
    upgrade offered   as done, but the last request offers to switch protocols: the bytes behind it are kept until the
                      response says whether they are HTTP
    tunnel            the connection has switched protocols, the bytes are not HTTP
    ended             none will come: the client has closed its side, and responses are outstanding
    refused           the client broke the protocol or a limit: the bytes are ignored, and the refusal is sent once the
                      requests before it are answered
    draining          the last response is sent, the rest of its request's body is thrown away
    lingering         the refusal is sent, the bytes are thrown away until the client closes its side
    closing           none is read any more; what has been written still goes out
    closed            the connection is lost

Rules:

- Requests may be pipelined. So the state is that of the request that is arriving, not of the one that is being served;
  an arriving request waits for its turn in a queue.
- A request that arrives in one piece skips ``HEAD``.
- ``ALL_ANSWERED`` happens when the queue is empty: only then does the connection become idle, is a refusal sent, or is
  an upgrade declined. An upgrade is always offered by the last request of the queue, since nothing behind it is parsed.
- ``LAST_ANSWERED`` is a response after which the connection must not be used again. Closing at once while the client
  still sends would reset the connection, and a reset destroys a response that is on its way; hence ``DRAINING`` and
  ``LINGERING``, for a limited time.
- ``CLOSE`` and ``LOST`` may happen in every state but ``CLOSED``.

Each state has its time limit (``HttpConnection``). An event that a state's row does not have is a fault of the server:
it raises ``IllegalTransition``, which ends the connection. h11's ``_state.py`` is the model.
"""

from __future__ import annotations

from typing import Final, NewType

# Compared with ``is``: there is one object for each. An Enum's members are slower to look up.
ConnectionState = NewType("ConnectionState", str)
ConnectionEvent = NewType("ConnectionEvent", str)


class IllegalTransition(Exception):
    """An event that must not happen in the current state: a fault of the server, never of a client."""

    def __init__(self, state: ConnectionState, event: ConnectionEvent) -> None:
        super().__init__(f"a connection in the state {state!r} had the event {event!r}")


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
EOF: Final = ConnectionEvent("the client has closed its side")
REFUSE: Final = ConnectionEvent("the client broke the protocol or a limit")
ALL_ANSWERED: Final = ConnectionEvent("all requests that have arrived are answered")
LAST_ANSWERED: Final = ConnectionEvent("the last response is complete")
CLOSE: Final = ConnectionEvent("the server closes the connection")
LOST: Final = ConnectionEvent("the connection is lost")

_ALWAYS: Final = {CLOSE: CLOSING, LOST: CLOSED}
# In these states the bytes are thrown away unparsed.
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
    # What is served may go on after its connection.
    CLOSING: {SWITCH: CLOSING, EOF: CLOSING, ALL_ANSWERED: CLOSING, LAST_ANSWERED: CLOSING, **_ALWAYS},
    CLOSED: {SWITCH: CLOSED, ALL_ANSWERED: CLOSED, LAST_ANSWERED: CLOSED},
}
