"""A Runtime API and an app for each test, both on ephemeral loopback ports and gone when it ends."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.scripted_app import ScriptedApp
from tests.scripted_runtime_api import ScriptedRuntimeApi


@pytest.fixture
def api() -> Iterator[ScriptedRuntimeApi]:
    with ScriptedRuntimeApi() as scripted:
        yield scripted


@pytest.fixture
def app() -> Iterator[ScriptedApp]:
    with ScriptedApp() as scripted:
        yield scripted
