"""Imports asyncio without TLS. The proxy and ``adapter dev`` do not use TLS, and loading OpenSSL takes 5 MB and 10 ms.

asyncio itself supports an interpreter that has no ``ssl``. Other modules that import ``ssl`` later get the real module.
"""

from __future__ import annotations

import sys


def load_asyncio() -> None:
    """Import asyncio, but leave out its TLS if neither asyncio nor ``ssl`` has been imported yet."""
    is_lean = "ssl" not in sys.modules
    if is_lean:
        # An import of a module whose entry is None raises ImportError.
        sys.modules["ssl"] = None  # type: ignore[assignment]
    try:
        import asyncio  # noqa: F401  # imported for other modules
    finally:
        if is_lean:
            del sys.modules["ssl"]
