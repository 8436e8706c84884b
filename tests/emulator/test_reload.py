"""Watching a folder: which changes count."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from adapter.emulator.reload import require_watchfiles, watch
from adapter.errors import ConfigurationError


async def test_a_changed_file_is_named_and_caches_do_not_count(tmp_path: Path) -> None:
    changed: asyncio.Queue[str] = asyncio.Queue()
    watching = asyncio.Event()
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "pkg").mkdir()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(watch(str(tmp_path), changed.put_nowait, watching.set))
        await watching.wait()
        (tmp_path / "__pycache__" / "x.pyc").write_text("1")
        (tmp_path / "pkg" / "app.py").write_text("2")
        assert await changed.get() == "pkg/app.py"
        task.cancel()
    assert changed.empty()


def test_without_the_extra_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    require_watchfiles()
    # As if it were not installed.
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'web-adapter\[reload\]'"):
        require_watchfiles()
