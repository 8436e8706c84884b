"""How many descriptors this process may have, and so how many clients it can serve."""

from __future__ import annotations

import resource

# For what is no client's: listeners, the event loop, the app's pipes, connections turned away or only just accepted.
RESERVED = 64
# A client's own connection, and the one to the app that its request takes.
PER_CLIENT = 2
# macOS calls its hard limit infinite and takes no more than this (sys/syslimits.h).
OPEN_MAX = 10_240


def raise_limit() -> int:
    """Allow this process as many descriptors as it may allow itself; the number. Shells begin with 1,024 or 256."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    ceiling = OPEN_MAX if hard == resource.RLIM_INFINITY else hard
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (ceiling, hard))
    except (OSError, ValueError):
        # A container may forbid it; what there is will do.
        return soft
    return ceiling


def soft_limit() -> int:
    """How many descriptors this process may have as it is."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return OPEN_MAX if soft == resource.RLIM_INFINITY else soft


def connection_cap(descriptors: int, wanted: int | None) -> int:
    """How many clients may be connected: ``wanted``, unless ``descriptors`` are too few for them."""
    possible = max(1, (descriptors - RESERVED) // PER_CLIENT)
    return possible if wanted is None else min(wanted, possible)
