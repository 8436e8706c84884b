"""What a client can do to an exchange that somebody waits for."""

from __future__ import annotations


class BodyTruncatedError(Exception):
    """The connection ended before the body did."""


class ClientStalledError(ConnectionError):
    """The client is connected, but neither takes nor sends anything."""
