"""What a client can do to a request while it is served. Faults of the server itself are in ``connection_state``."""

from __future__ import annotations


class BodyTruncatedError(Exception):
    """The connection ended before the body did."""


class ClientStalledError(ConnectionError):
    """The client is connected, but neither receives nor sends anything."""
