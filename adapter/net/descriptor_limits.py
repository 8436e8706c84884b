"""The limit of open descriptors, and the number of clients that it allows."""

from __future__ import annotations

import resource

# Descriptors that are not for clients: listeners, the event loop, the app's pipes, connections that were just accepted
# or are being rejected.
RESERVED = 64
# The connection of a client, and the one to the app for its request.
PER_CLIENT = 2
# macOS reports an infinite hard limit but accepts no more than this (sys/syslimits.h).
OPEN_MAX = 10_240


def raise_limit() -> int:
    """Raise the soft limit to the hard limit, and return it. Shells start with 1,024 or 256."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    ceiling = OPEN_MAX if hard == resource.RLIM_INFINITY else hard
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (ceiling, hard))
    except (OSError, ValueError):
        # A container may forbid it.
        return soft
    return ceiling


def soft_limit() -> int:
    """Return the soft limit."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return OPEN_MAX if soft == resource.RLIM_INFINITY else soft


def connection_cap(descriptors: int, wanted: int | None) -> int:
    """Return how many clients may be connected: ``wanted``, or fewer if there are not enough ``descriptors``."""
    possible = max(1, (descriptors - RESERVED) // PER_CLIENT)
    return possible if wanted is None else min(wanted, possible)
