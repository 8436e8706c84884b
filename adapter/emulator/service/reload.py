"""``--reload``: watch the app's folder, and let every environment start over when something in it has changed.

What is written there while requests are served must not count: each of them would make the next one a cold start.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from adapter.emulator.recording.recorder import NAME_PATTERN
from adapter.errors import ConfigurationError

# What is written while an app serves: our recordings, logs (also rotated ones) and the files of SQLite.
_WRITTEN_MEANWHILE = (rf"^{NAME_PATTERN}$", r"\.log(\.[\w-]+)*$", r"\.(db3?|sqlite3?)(-journal|-wal|-shm)?$")
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

    Version control, caches, ``.venv``, ``node_modules``, what editors leave behind, and logs, SQLite's files and
    recordings do not count.
    """
    from watchfiles import DefaultFilter, awatch  # an extra, and slow to import

    ignored = (*DefaultFilter.ignore_entity_patterns, *_WRITTEN_MEANWHILE)
    stopping = asyncio.Event()
    first = True
    try:
        # It yields nothing until there is a change, unless it is asked to tell of the time that passes.
        async for changes in awatch(
            folder,
            watch_filter=DefaultFilter(ignore_entity_patterns=ignored),
            debounce=_DEBOUNCE_MS,
            stop_event=stopping,
            rust_timeout=500,
            yield_on_timeout=True,
        ):
            if first:
                first = False
                ready()
            names = sorted(path for _, path in changes)
            if names:
                changed(names[0].removeprefix(f"{folder}/"))
    finally:
        stopping.set()
