"""``--reload``: watch the app's folder, and let every environment start over when something in it has changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from adapter.errors import ConfigurationError

# How long changes are collected before they count as one, in milliseconds: editors write a file in several steps.
_DEBOUNCE_MS = 200


def require_watchfiles() -> None:
    """Raises ConfigurationError where the extra is not installed."""
    try:
        import watchfiles  # noqa: F401  (only whether it is there)
    except ImportError as error:
        raise ConfigurationError(
            ["--reload: needs watchfiles; install it with: pip install 'web-adapter[reload]'"]
        ) from error


async def watch(folder: str, changed: Callable[[str], None], ready: Callable[[], None] = lambda: None) -> None:
    """Call ``changed`` with the name of a changed file, until cancelled; ``ready`` once changes are seen.

    Version control, caches, virtual environments and ``node_modules`` do not count.
    """
    from watchfiles import awatch  # an extra, and slow to import

    stopping = asyncio.Event()
    first = True
    try:
        # It yields nothing until there is a change, unless it is asked to tell of the time that passes.
        async for changes in awatch(
            folder, debounce=_DEBOUNCE_MS, stop_event=stopping, rust_timeout=500, yield_on_timeout=True
        ):
            if first:
                first = False
                ready()
            names = sorted(path for _, path in changes)
            if names:
                changed(names[0].removeprefix(f"{folder}/"))
    finally:
        stopping.set()
