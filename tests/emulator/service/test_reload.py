"""Watching a folder: which changes count."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from adapter.emulator.service.reload import require_watchfiles, watch
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


@pytest.mark.parametrize(
    "written",
    [
        pytest.param("recordings/20260102T030405-0001-89abcdef.json", id="recording"),
        pytest.param("20260102T030405-12345-89abcdef.json", id="recording-in-the-app's-folder"),
        pytest.param("app.log", id="log"),
        pytest.param("logs/app.log.1", id="rotated-log"),
        pytest.param("app.log.2026-01-02", id="log-of-a-day"),
        pytest.param("db.sqlite3", id="sqlite"),
        pytest.param("db.sqlite3-journal", id="sqlite-journal"),
        pytest.param("app.db-wal", id="sqlite-wal"),
        pytest.param("app.sqlite-shm", id="sqlite-shm"),
    ],
)
async def test_what_is_written_while_an_app_serves_does_not_count(tmp_path: Path, written: str) -> None:
    assert await first_change(tmp_path, written) == "~last.py"


@pytest.mark.parametrize(
    "written",
    ["recordings.py", "recordings/event.json", "settings.json", "log.py", "logs.txt", "catalog", "db.py", "my.dbx"],
)
async def test_names_like_those_count(tmp_path: Path, written: str) -> None:
    assert await first_change(tmp_path, written) == written


async def first_change(folder: Path, written: str) -> str:
    """What is named first of ``written`` and ``~last.py``, which comes after all others by time and by name."""
    changed: asyncio.Queue[str] = asyncio.Queue()
    watching = asyncio.Event()
    (folder / written).parent.mkdir(exist_ok=True)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(watch(str(folder), changed.put_nowait, watching.set))
        await watching.wait()
        (folder / written).write_text("1")
        (folder / "~last.py").write_text("2")
        first = await changed.get()
        task.cancel()
    return first


def test_without_the_extra_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    require_watchfiles()
    # As if it were not installed.
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'web-adapter\[reload\]'"):
        require_watchfiles()
