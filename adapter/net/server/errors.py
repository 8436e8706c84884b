"""Exceptions that a client can cause while its request is served."""

from __future__ import annotations


class BodyTruncatedError(Exception):
    """The client disconnected or broke the protocol before the request body was complete."""


class ClientStalledError(ConnectionError):
    """The client is connected, but made no progress within the client timeout."""
