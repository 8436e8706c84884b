"""What a runtime imports from its start to its end: a budget of names and of their number, since time is too noisy.

Every module takes a fraction of a millisecond of each cold start. If you need another module, add it to the budget
here, with the reason why it cannot be imported later.
"""

from __future__ import annotations

import re
import sys

from tests.events import function_url
from tests.runtime_process import RuntimeProcess
from tests.scripted_app import ScriptedApp
from tests.scripted_runtime_api import ScriptedRuntimeApi

# Packages of the standard library that the adapter itself imports, and what they bring along.
STANDARD = {"__future__", "errno", "gc", "select"}
# For -m, by which the tests start it.
FOR_RUNPY = {
    *("collections", "contextlib", "functools", "importlib", "itertools", "keyword", "operator", "reprlib", "runpy"),
    *("types", "warnings"),
}
LIBRARIES = {"adapter", "httptools", "orjson"}
ALLOWED = STANDARD | FOR_RUNPY | LIBRARIES

# Modules of the adapter, and modules in all. CPython's private ones differ from version to version.
MOST_OF_OURS, MOST_IN_ALL = 53, 91

IMPORTED = re.compile(r"^import time: +\d+ \| +\d+ \| +(\S+)$", re.MULTILINE)


def imports_of_a_life() -> list[str]:
    """What the interpreter imports after its own start: through init, an invocation and shutdown."""
    with (
        ScriptedRuntimeApi() as api,
        ScriptedApp() as app,
        RuntimeProcess(api, app=app, interpreter=("-X", "importtime")) as runtime,
    ):
        api.invoke(function_url()).answer()
        runtime.terminate()
        assert runtime.exit_code() == 0
        imported = IMPORTED.findall(runtime.stderr())
    return imported[imported.index("site") + 1 :]


def test_a_runtime_imports_what_its_budget_names_and_no_more() -> None:
    imported = imports_of_a_life()
    packages = {name.partition(".")[0] for name in imported}
    # Compiled modules lie in one library, whose name is a number.
    assert {name for name in packages if not name.startswith("_") and not name.endswith("__mypyc")} - ALLOWED == set()
    assert packages >= LIBRARIES
    assert len(imported) == len(set(imported)), "a module is imported twice"
    ours = [name for name in imported if name.partition(".")[0] == "adapter"]
    assert len(ours) <= MOST_OF_OURS, sorted(ours)
    assert len(imported) <= MOST_IN_ALL, sorted(imported)


def test_the_budget_names_nothing_that_is_not_imported() -> None:
    """A budget with room in it would be spent."""
    packages = {name.partition(".")[0] for name in imports_of_a_life()}
    if sys.version_info[:2] == (3, 11):
        assert ALLOWED - packages == set()
