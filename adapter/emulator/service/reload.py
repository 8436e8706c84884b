"""``--reload``: watch the app's folder, and restart the environments when a file in it has changed.

Files that an app writes while it serves are ignored, because each request would make the next one a cold start.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from adapter.emulator.recording.recordings import NAME_PATTERN
from adapter.errors import ConfigurationError

# Files that are written while an app serves: our recordings, logs (also rotated ones) and the files of SQLite.
_WRITTEN_BY_APPS = (rf"^{NAME_PATTERN}$", r"\.log(\.[\w-]+)*$", r"\.(db3?|sqlite3?)(-journal|-wal|-shm)?$")
# Changes within this many milliseconds count as one, because editors write a file in several steps.
_DEBOUNCE_MS = 200


def require_watchfiles() -> None:
    """Raise ConfigurationError if the extra is not installed."""
    try:
        import watchfiles  # noqa: F401  (only to see whether it is installed)
    except ImportError as error:
        raise ConfigurationError(
            ["--reload: needs watchfiles; install it with: pip install 'web-adapter[reload]'"]
        ) from error


async def watch(folder: str, on_change: Callable[[str], None], on_ready: Callable[[], None]) -> None:
    """Call ``on_change`` with the name of each changed file, until cancelled; call ``on_ready`` once it watches.

    Files of version control, caches, ``.venv``, ``node_modules``, temporary files of editors, logs, files of SQLite and
    recordings are ignored.
    """
    from watchfiles import DefaultFilter, awatch  # an extra, and slow to import

    ignored = (*DefaultFilter.ignore_entity_patterns, *_WRITTEN_BY_APPS)
    stopping = asyncio.Event()
    is_ready = False
    try:
        # It yields nothing until there is a change, unless it is asked to yield after each timeout as well.
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
