"""Every name of an error that the code reports is in the docs, with its type and status, and no other name is.

The names are found in the source: as texts of their form, and wherever an error is made with one.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapter.cli.error_names import ERROR_GROUPS
from adapter.emulator.environment.state_tables import ExtensionState
from adapter.errors import AdapterError

REPOSITORY = Path(__file__).resolve().parent.parent
TABLE = REPOSITORY / "docs" / "errors.md"
ROW = re.compile(r"\| `(Adapter\.\w+)` \| `(\w+\.\w+)` \| (\d{3}) \| (.+) \| (.+) \|")
OTHER_ROW = re.compile(r"\| `([A-Z][\w.]+)` \| ([^|]+) \| ([^|]+) \|")
# The forms of names: with the part of the system that reports it, and as an exception of AWS's SDKs.
FORM = re.compile(
    r"(Adapter|Runtime|Function|Extension|Sandbox|Emulator|FrontDoor|Telemetry|Logs)\.[A-Z][A-Za-z]+"
    r"|[A-Z][A-Za-z]+Exception"
)
# Where an error is made: its first text is the name.
MAKERS = {"RefusedExtension", "RefusedSignatureError", "RefusedInvokeError", "failure", "Failure", "break_off"}
WORD = re.compile(r"[A-Z]\w+(\.\w+)?")
# Names that the code puts together: an extension's state is also the name of the error.
COMPOSED = {f"Extension.{state.value}" for state in (ExtensionState.INIT_ERROR, ExtensionState.EXIT_ERROR)}


def errors(base: type[AdapterError] = AdapterError) -> Iterator[type[AdapterError]]:
    yield base
    for each in base.__subclasses__():
        yield from errors(each)


def texts(nodes: list[ast.expr]) -> list[object]:
    return [node.value if isinstance(node, ast.Constant) else None for node in nodes]


def names_in(source: str) -> Iterator[str]:
    """Yield the names of errors in ``source``."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and FORM.fullmatch(node.value):
            yield node.value
        elif (
            isinstance(node, ast.keyword) and str(node.arg).endswith("_error") and isinstance(node.value, ast.Constant)
        ):
            yield str(node.value.value)
        elif isinstance(node, (ast.Call, ast.Tuple)):
            values = texts(node.args if isinstance(node, ast.Call) else node.elts)
            maker = ast.unparse(node.func).rpartition(".")[2] if isinstance(node, ast.Call) else ""
            for before, value in zip([None, *values], values, strict=False):
                follows_status = isinstance(before, int) and 400 <= before < 600
                is_first = maker in MAKERS and value is values[0]
                if isinstance(value, str) and (follows_status or is_first) and WORD.fullmatch(value):
                    yield value


def in_code() -> set[str]:
    sources = (REPOSITORY / "adapter").rglob("*.py")
    return {name for source in sources for name in names_in(source.read_text())} | COMPOSED


def in_docs() -> dict[str, tuple[str, int]]:
    rows = [ROW.fullmatch(line) for line in TABLE.read_text().splitlines()]
    return {row[1]: (row[2], int(row[3])) for row in rows if row is not None}


def test_the_table_lists_every_error_with_its_type_and_status() -> None:
    assert in_docs() == {error.name: (error.lambda_type, error.status) for error in errors()}


def test_every_name_that_the_code_reports_is_in_the_docs_and_no_other() -> None:
    types = {error.lambda_type for error in errors()}
    rows = [OTHER_ROW.fullmatch(line) for line in TABLE.read_text().splitlines()]
    others = {row[1] for row in rows if row is not None}
    assert len(others) > 40
    assert others | set(in_docs()) | types == in_code() | types


def test_every_name_has_a_meaning_and_a_way_out() -> None:
    assert all(meaning and remedy for names in ERROR_GROUPS.values() for meaning, remedy in names.values())


@pytest.mark.parametrize(
    "source",
    [
        'refuse(exchange, (403, "NewRefusal", message))',
        'REFUSAL: Refusal = (400, "NewRefusal", "text")',
        'raise RefusedInvokeError(404, "NewRefusal", text)',
        'raise RefusedExtension("NewRefusal", text)',
        'NAME = "Sandbox.NewRefusal"',
        'Api(closed_error="NewRefusal")',
    ],
)
def test_a_name_is_found_wherever_an_error_is_made(source: str) -> None:
    assert [name.rpartition(".")[2] for name in names_in(source)] == ["NewRefusal"]


def test_error_names_are_unique() -> None:
    names = [error.name for error in errors()]
    assert sorted(set(names)) == sorted(names)


@pytest.mark.parametrize("error", [*errors()], ids=lambda error: error.__name__)
def test_an_error_has_a_legal_name_lambda_type_and_status(error: type[AdapterError]) -> None:
    assert re.fullmatch(r"Adapter\.[A-Z][A-Za-z]+", error.name)
    # The official emulator rewrites anything else to Runtime.Unknown.
    assert re.fullmatch(r"(Runtime|Function)\.[A-Z][A-Za-z]+", error.lambda_type)
    assert 400 <= error.status < 600
