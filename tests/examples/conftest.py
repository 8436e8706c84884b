"""Each contract test runs against both apps; an app serves all tests that leave it alive."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import pytest

from tests.apps import FRAMEWORKS, Framework, running_app


@pytest.fixture(scope="session", params=FRAMEWORKS)
def framework(request: pytest.FixtureRequest) -> Framework:
    return cast(Framework, request.param)


@pytest.fixture(scope="session")
def port(framework: Framework) -> Iterator[int]:
    with running_app(framework) as port:
        yield port
