"""The table of error names in the docs is that of the code, and names and types are of the form that was promised."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapter.errors import AdapterError

TABLE = Path(__file__).resolve().parent.parent / "docs" / "errors.md"
ROW = re.compile(r"\| `(Adapter\.\w+)` \| `(\w+\.\w+)` \| (\d{3}) \| (.+) \| (.+) \|")


def errors(base: type[AdapterError] = AdapterError) -> Iterator[type[AdapterError]]:
    yield base
    for each in base.__subclasses__():
        yield from errors(each)


def documented() -> dict[str, tuple[str, int]]:
    rows = [ROW.fullmatch(line) for line in TABLE.read_text().splitlines()]
    return {row[1]: (row[2], int(row[3])) for row in rows if row is not None}


def test_the_table_lists_every_error_with_its_type_and_status() -> None:
    assert documented() == {error.name: (error.lambda_type, error.status) for error in errors()}


def test_error_names_are_unique() -> None:
    names = [error.name for error in errors()]
    assert sorted(set(names)) == sorted(names)


@pytest.mark.parametrize("error", [*errors()], ids=lambda error: error.__name__)
def test_an_error_has_a_legal_name_lambda_type_and_status(error: type[AdapterError]) -> None:
    assert re.fullmatch(r"Adapter\.[A-Z][A-Za-z]+", error.name)
    # The official emulator rewrites anything else to Runtime.Unknown.
    assert re.fullmatch(r"(Runtime|Function)\.[A-Z][A-Za-z]+", error.lambda_type)
    assert 400 <= error.status < 600
