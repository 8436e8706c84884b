"""The stand-ins for modules that nobody needs: they keep them away, and whoever does need one never notices."""

from __future__ import annotations

import subprocess
import sys

import pytest

KEPT_AWAY = ("ast", "dis", "inspect", "platform", "tokenize", "typing")
LOAD = "import sys; from adapter.lean_imports import load_parsers; load_parsers();"


def said(code: str) -> str:
    """What ``code`` prints in a fresh interpreter, without ``site`` as in production, after the parsers were loaded."""
    path = "import sys; sys.path[:] = " + repr(sys.path) + ";"
    command = [sys.executable, "-IS", "-c", path + LOAD + code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_both_parsers_are_loaded_and_no_module_that_they_do_not_need() -> None:
    loaded = set(said("print(*sys.modules)").split())
    assert loaded >= {"httptools", "orjson", "dataclasses", "uuid"}
    assert not loaded & set(KEPT_AWAY)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        pytest.param("import inspect; print(inspect.isfunction(print))", "False", id="inspect"),
        pytest.param("import platform; print(platform.python_implementation())", "CPython", id="platform"),
        pytest.param("import typing; print(typing.Optional[int])", "typing.Optional[int]", id="typing"),
        pytest.param("from typing import Protocol; print(Protocol.__module__)", "typing", id="one-name"),
        pytest.param("from inspect import *; print(isclass(int))", "True", id="all-names"),
    ],
)
def test_a_module_that_was_kept_away_is_the_real_one_when_it_is_imported_later(code: str, expected: str) -> None:
    assert said(code) == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        # Without a docstring the signature becomes one, and that is what inspect is for.
        pytest.param(
            "import dataclasses; print(dataclasses.make_dataclass('Point', [('x', int)]).__doc__)",
            "Point(x: int)",
            id="dataclasses",
        ),
        pytest.param(
            "import orjson, dataclasses; "
            "print(orjson.dumps(dataclasses.make_dataclass('Point', [('x', int)])(3)).decode())",
            '{"x":3}',
            id="orjson-dataclass",
        ),
        pytest.param(
            "import orjson, uuid; print(orjson.dumps(uuid.UUID(int=1)).decode())",
            '"00000000-0000-0000-0000-000000000001"',
            id="orjson-uuid",
        ),
        pytest.param("import uuid; print(len(str(uuid.uuid1())))", "36", id="uuid"),
    ],
)
def test_what_was_loaded_beside_a_stand_in_works_as_ever(code: str, expected: str) -> None:
    assert said(code) == expected


def test_a_module_that_is_there_already_stays_as_it_is() -> None:
    before = "import sys, typing, inspect; kept = typing, inspect;"
    path = "import sys; sys.path[:] = " + repr(sys.path) + ";"
    after = "print(kept == (sys.modules['typing'], sys.modules['inspect']))"
    command = [sys.executable, "-IS", "-c", path + before + LOAD + after]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "True"
