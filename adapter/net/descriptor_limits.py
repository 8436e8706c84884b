"""The limit of open file descriptors of this process, and the number of clients that the limit allows."""

from __future__ import annotations

import resource

# Descriptors that are not available to clients: listeners, the event loop, the app's pipes, and connections
# that were just accepted or are being rejected.
RESERVED = 64
# Descriptors per client: its own connection, and the connection to the app for its request.
PER_CLIENT = 2
# macOS reports an infinite hard limit but accepts no more than this (sys/syslimits.h).
OPEN_MAX = 10_240


def raise_limit() -> int:
    """Raise the soft limit to the hard limit. Return the new soft limit, or the old one if raising it is forbidden."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    ceiling = OPEN_MAX if hard == resource.RLIM_INFINITY else hard
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (ceiling, hard))
    except (OSError, ValueError):
        # A container may forbid the change.
        return soft
    return ceiling


def soft_limit() -> int:
    """Return the soft limit of open descriptors."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return OPEN_MAX if soft == resource.RLIM_INFINITY else soft


def connection_cap(descriptors: int, wanted: int | None) -> int:
    """Return how many clients a limit of ``descriptors`` allows, but at most ``wanted``. None means no maximum."""
    possible = max(1, (descriptors - RESERVED) // PER_CLIENT)
    return possible if wanted is None else min(wanted, possible)
