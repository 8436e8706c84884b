"""How many descriptors this process may have, and so how many clients it can serve."""

from __future__ import annotations

import resource

# For what is no client's: listeners, the event loop, the app's pipes, connections turned away or only just accepted.
RESERVED = 64
# A client's own connection, and the one to the app that its request takes.
PER_CLIENT = 2


def raise_limit() -> int:
    """Allow this process as many descriptors as it may allow itself; the number. Shells begin with 1,024 or 256."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError):
        # macOS calls its hard limit infinite and takes less than that.
        return soft
    return hard


def connection_cap(descriptors: int, wanted: int | None) -> int:
    """How many clients may be connected: ``wanted``, unless ``descriptors`` are too few for them."""
    possible = max(1, (descriptors - RESERVED) // PER_CLIENT)
    return possible if wanted is None else min(wanted, possible)
