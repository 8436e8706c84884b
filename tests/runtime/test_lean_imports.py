"""The stand-ins: modules that are not needed are not imported, and those that are needed are the real ones."""

from __future__ import annotations

import subprocess
import sys

import orjson
import pytest

KEPT_AWAY = ("collections", "dataclasses", "datetime", "enum", "inspect", "json", "platform", "re", "typing", "uuid")
LOAD = "import sys; from adapter.runtime.lean_imports import load_parsers; load_parsers();"


def said(code: str) -> str:
    """What ``code`` prints in a fresh interpreter, without ``site`` as in production, after the parsers were loaded."""
    path = "import sys; sys.path[:] = " + repr(sys.path) + ";"
    command = [sys.executable, "-IS", "-c", path + LOAD + code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_both_parsers_are_loaded_and_no_module_that_they_do_not_need() -> None:
    loaded = set(said("print(*sys.modules)").split())
    assert loaded >= {"httptools", "orjson"}
    assert not loaded & set(KEPT_AWAY)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        pytest.param("import datetime; print(datetime.timedelta(1))", "1 day, 0:00:00", id="datetime"),
        pytest.param("import json; print(json.loads('[1]'))", "[1]", id="json"),
        pytest.param("import typing; print(typing.Optional[int])", "typing.Optional[int]", id="typing"),
        pytest.param("from typing import Protocol; print(Protocol.__module__)", "typing", id="one-name"),
        pytest.param("from enum import *; print(Enum('Colour', 'RED').RED)", "Colour.RED", id="all-names"),
    ],
)
def test_a_module_that_was_kept_away_is_the_real_one_when_it_is_imported_later(code: str, expected: str) -> None:
    assert said(code) == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        pytest.param(
            "import dataclasses; print(dataclasses.make_dataclass('Point', [('x', int)])(3))",
            "Point(x=3)",
            id="dataclasses",
        ),
        pytest.param("import uuid; print(len(str(uuid.uuid1())))", "36", id="uuid"),
        pytest.param(
            "import orjson; print(orjson.loads(orjson.dumps([{'é': [1, 2.5, None, True, 'x']}])))",
            "[{'é': [1, 2.5, None, True, 'x']}]",
            id="orjson",
        ),
        pytest.param(
            "import orjson, datetime; print(orjson.dumps(datetime.date(2026, 1, 2)).decode())",
            '"2026-01-02"',
            id="orjson-date",
        ),
    ],
)
def test_what_was_loaded_beside_a_stand_in_works_as_ever(code: str, expected: str) -> None:
    assert said(code) == expected


@pytest.mark.parametrize("text", ["", "[1,\n 2,,", "é\n", '"\\ud800"', "[" * 2000])
def test_orjson_says_of_text_that_is_not_json_what_it_always_says(text: str) -> None:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError as error:
        expected = [str(error), error.msg, error.doc, error.pos, error.lineno, error.colno]
    show = (
        f"import orjson\ntry: orjson.loads({text!r})\n"
        "except orjson.JSONDecodeError as e: print(ascii([str(e), e.msg, e.doc, e.pos, e.lineno, e.colno]))"
    )
    assert said("\n" + show) == ascii(expected)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("uuid.UUID(int=1)", id="uuid"),
        pytest.param("enum.Enum('Colour', 'RED').RED", id="enum"),
    ],
)
def test_orjson_refuses_types_that_it_has_not_seen(value: str) -> None:
    """And does not take one for another, or for an address that something else has now."""
    show = (
        "\nimport enum, gc, orjson, uuid; gc.collect()"
        f"\ntry: print(orjson.dumps({value}))\nexcept TypeError as e: print(e)"
    )
    assert said(show).startswith("Type is not JSON serializable: ")


def test_a_module_that_is_there_already_stays_as_it_is() -> None:
    before = "import sys, typing, inspect; kept = typing, inspect;"
    path = "import sys; sys.path[:] = " + repr(sys.path) + ";"
    after = "print(kept == (sys.modules['typing'], sys.modules['inspect']))"
    command = [sys.executable, "-IS", "-c", path + before + LOAD + after]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "True"


def test_the_parser_of_urls_is_not_loaded_with_the_other_one() -> None:
    assert said("print('httptools.parser.url_parser' in sys.modules)") == "False"
    assert said("from httptools.parser.url_parser import parse_url; print(parse_url(b'/a').path)") == "b'/a'"


def test_compiled_modules_find_what_they_need_of_importlib_without_importing_it() -> None:
    needed = "sys.modules['importlib.machinery'].ModuleSpec; sys.modules['importlib._bootstrap']"
    without = "from adapter.runtime.lean_imports import WithoutImportlib\nwith WithoutImportlib():"
    assert said(f"\n{without} {needed}\nprint('importlib' in sys.modules, 'warnings' in sys.modules)") == "False False"
    after = "import importlib.machinery\nprint(importlib.machinery.SourceFileLoader.__name__)"
    assert said(f"\n{without} {needed}\n{after}") == "SourceFileLoader"
    loaded = f"import importlib.machinery as real\n{without} print(sys.modules['importlib.machinery'] is real)"
    assert said(loaded) == "True"
