"""Watches the app's folder for ``--reload``.

Files that an app writes while it serves, such as logs, are ignored. If they were not ignored, each request could cause
a cold start for the next request.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

from adapter.emulator.recording.recordings import NAME_PATTERN, UNFINISHED
from adapter.errors import ConfigurationError

# Patterns of files that are written while an app serves: the emulator's recordings, logs (also rotated logs), and
# SQLite databases.
_WRITTEN_BY_APPS = (
    rf"^{NAME_PATTERN}({re.escape(UNFINISHED)})?$",
    r"\.log(\.[\w-]+)*$",
    r"\.(db3?|sqlite3?)(-journal|-wal|-shm)?$",
)
# Changes within this many milliseconds count as one, because editors write a file in several steps.
_DEBOUNCE_MS = 200


def require_watchfiles() -> None:
    """Raise ConfigurationError if the package watchfiles is not installed."""
    try:
        import watchfiles  # noqa: F401  (only to see whether it is installed)
    except ImportError as error:
        raise ConfigurationError(
            ["--reload: needs watchfiles; install it with: pip install 'web-adapter[reload]'"]
        ) from error


async def watch(folder: str, on_change: Callable[[str], None], on_ready: Callable[[], None]) -> None:
    """Watch ``folder`` until cancelled. Call ``on_ready`` when watching has begun, and ``on_change`` after changes.

    If several files change at the same time, call ``on_change`` once, with the alphabetically first file name.
    Files of version control, caches, ``.venv``, ``node_modules``, temporary files of editors, logs, SQLite
    databases and recordings are ignored.
    """
    from watchfiles import DefaultFilter, awatch  # an extra, and slow to import

    ignored = (*DefaultFilter.ignore_entity_patterns, *_WRITTEN_BY_APPS)
    stopping = asyncio.Event()
    is_ready = False
    try:
        # With ``yield_on_timeout``, ``awatch`` yields even without a change. This shows that watching has begun.
        async for changes in awatch(
            folder,
            watch_filter=DefaultFilter(ignore_entity_patterns=ignored),
            debounce=_DEBOUNCE_MS,
            stop_event=stopping,
            rust_timeout=500,
            yield_on_timeout=True,
        ):
            if not is_ready:
                is_ready = True
                on_ready()
            if changes:
                on_change(min(path for _, path in changes).removeprefix(f"{folder}/"))
    finally:
        stopping.set()
