"""``docs/emulator-api.md`` names a test for every answer; each of them is there."""

from __future__ import annotations

import re
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent.parent
DOCS = (REPOSITORY / "docs" / "emulator-api.md").read_text()
TESTS = "\n".join(file.read_text() for file in (REPOSITORY / "tests").rglob("test_*.py"))


def test_every_test_that_is_named_exists() -> None:
    named = set(re.findall(r"`(test_\w+)(…?)(?:\[[\w-]+\])?`", DOCS))
    assert len(named) > 40
    missing = [name for name, cut in sorted(named) if not re.search(rf"def {name}{'' if cut else '[(]'}", TESTS)]
    assert missing == []


def test_every_file_that_is_named_exists() -> None:
    named = set(re.findall(r"`((?:tests|bench)/[\w/.]+)`", DOCS))
    assert named
    assert [name for name in sorted(named) if not (REPOSITORY / name).exists()] == []
