"""The shape of the code: imports point one way, the core does no I/O, and the runtime starts without anything slow."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.runtime_process import RuntimeProcess
from tests.scripted_app import ScriptedApp
from tests.scripted_runtime_api import ScriptedRuntimeApi

PACKAGE = Path(__file__).resolve().parent.parent / "adapter"
MODULES = sorted(PACKAGE.rglob("*.py"))
# With its ``__init__``.
MOST_MODULES = 13

# The packages in their order: each may import itself, those above it in this list, and nothing else. What is not listed
# is part of the nearest package above it in the tree. Imports for the type checker alone count like all others.
ORDER = [
    "errors",
    "numbers",
    "aws",
    "quantities",
    "payload",
    "net",
    "net.server",
    "output",
    "logs",
    "library_lines",
    "config",
    "app",
    "runtime",
    "proxy",
    "emulator",
    "emulator.records",
    "emulator.environment",
    "emulator.platform_api",
    "emulator.sandbox",
    "emulator.function",
    "emulator.faults",
    "emulator.recording",
    "emulator.requests",
    "emulator.access",
    "emulator.front_doors",
    "emulator.invoke_api",
    "emulator.terminal",
    "emulator.inspector",
    "emulator.service",
    "emulator.template",
    "emulator.commands",
    "start",
    "cli",
    "__main__",
]
# The ways in know nothing of each other.
WAYS_IN = ("runtime", "proxy", "emulator")
# What the runtime must never load: each would cost more of a cold start than all of the runtime together.
SLOW = ["aiohttp", "asyncio", "click", "concurrent.futures", "http.client", "logging", "ssl", "subprocess", "tempfile"]
# What must not be loaded before the app is started, on top of that.
LATER = [
    "dataclasses",
    "enum",
    "httptools",
    "inspect",
    "json",
    "orjson",
    "os",
    "re",
    "signal",
    "socket",
    "threading",
    "typing",
]
IO = {"asyncio", "io", "os", "random", "selectors", "select", "signal", "socket", "subprocess", "threading"}
CLOCKS = {"time.time", "time.monotonic", "time.perf_counter", "time.sleep", "datetime.datetime"}
WITHOUT_IO = ("errors", "numbers", "aws", "payload", "net.http1", "net.token_bucket", "net.compression")


def name_of(module: Path) -> str:
    """Return the dotted name within the package: ``net.http1``; that of a package for its ``__init__``."""
    parts = module.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def layer_of(name: str) -> str:
    """Return the entry of ORDER that the module or package ``name`` belongs to."""
    while name and name not in ORDER:
        name = name.rpartition(".")[0]
    return name


def is_in(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def imports_of(tree: ast.AST) -> Iterator[str]:
    """Yield the dotted names that ``tree`` imports anywhere, also within functions and for the type checker only."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a relative import"
            # "from adapter.config import parsers" names a module as well.
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def parsed(module: Path) -> ast.Module:
    return ast.parse(module.read_text("utf-8"), str(module))


def imported_by(module: Path) -> set[str]:
    """Our own modules and packages that ``module`` imports, by their names within the package."""
    names = {name.removeprefix("adapter.") for name in imports_of(parsed(module)) if name.startswith("adapter.")}
    known = {name_of(each) for each in MODULES}
    # "from adapter.net import http1" names a module, "from adapter.net.http1 import ResponseReader" does not.
    return {name if name in known else name.rpartition(".")[0] for name in names} - {""}


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_imports_point_one_way(module: Path) -> None:
    layer = layer_of(name_of(module))
    if name_of(module):
        assert layer, f"adapter/{name_of(module)} has no place in ORDER yet"
        wrong = [name for name in imported_by(module) if ORDER.index(layer_of(name)) > ORDER.index(layer)]
        assert not wrong


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_the_ways_in_do_not_know_each_other(module: Path) -> None:
    own = name_of(module).partition(".")[0]
    others = [way for way in WAYS_IN if way != own]
    assert own not in WAYS_IN or not [name for name in imported_by(module) if is_in(name, *others)]


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {name_of(module): imported_by(module) for module in MODULES}
    try:
        TopologicalSorter({name: needed - {name} for name, needed in graph.items()}).prepare()
    except CycleError as error:
        raise AssertionError(" → ".join(error.args[1])) from None


def test_no_folder_has_more_modules_than_a_reader_takes_in() -> None:
    for folder in {module.parent for module in MODULES}:
        assert len(list(folder.glob("*.py"))) <= MOST_MODULES, folder


@pytest.mark.parametrize("module", [module for module in MODULES if is_in(name_of(module), *WITHOUT_IO)], ids=name_of)
def test_the_core_does_no_io_and_reads_no_clock(module: Path) -> None:
    imported = set(imports_of(parsed(module)))
    assert not {name.split(".")[0] for name in imported} & IO
    assert not imported & {"time", "datetime", *CLOCKS}


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_one_module_reads_the_environment(module: Path) -> None:
    reads = [
        node.lineno
        for node in ast.walk(parsed(module))
        if (isinstance(node, ast.Attribute) and node.attr in ("environ", "environb", "getenv", "getenvb"))
        or (isinstance(node, ast.alias) and node.name in ("environ", "getenv"))
    ]
    assert bool(reads) == (name_of(module) == "config.load"), f"lines {reads}"


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_every_module_says_what_it_is_for(module: Path) -> None:
    assert len(ast.get_docstring(parsed(module)) or "") > 30


def modules_loaded_by(code: str) -> set[str]:
    """The modules that a fresh interpreter, started as the launcher is, has loaded after ``code``, beyond its own."""
    before = f"import sys; sys.path[:] = {sys.path!r}; before = set(sys.modules)\n"
    show = before + code + "\nprint(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-IS", "-c", show], capture_output=True, text=True, check=True, timeout=30)
    return set(done.stdout.split())


def test_the_runtime_loads_nothing_slow() -> None:
    loaded = modules_loaded_by("import adapter.__main__, adapter.start, adapter.runtime.runtime")
    assert "adapter.runtime.invocation_relay" in loaded
    assert not loaded & set(SLOW)


def test_what_comes_before_the_app_loads_next_to_nothing() -> None:
    loaded = modules_loaded_by("import adapter.__main__, adapter.start")
    assert "adapter.app.process" in loaded
    assert not loaded & {*SLOW, *LATER}


def test_a_free_port_for_the_app_is_found_without_loading_more() -> None:
    found = modules_loaded_by("from adapter.net.address import free_port; assert free_port('127.0.0.1', '::1')")
    assert "adapter.net.address" in found
    assert not found & {*SLOW, *LATER}


def test_what_comes_before_the_app_is_not_compiled() -> None:
    """The first compiled module brings all of them, which would hold up the app for more than a millisecond."""
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())
    hook = project["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]["mypyc"]
    compiled = {
        f"adapter.{name_of(module)}"
        for pattern in hook["include"]
        for module in PACKAGE.parent.glob(pattern)
        if not any(module.match(excluded) for excluded in hook["exclude"])
    }
    assert "adapter.runtime.invocation_relay" in compiled
    assert not compiled & modules_loaded_by("import adapter.__main__, adapter.start")


def test_a_runtime_process_loads_nothing_slow_from_its_start_to_its_end() -> None:
    """The interpreter itself says what it imports, over a whole life: init, an invocation, shutdown."""
    with (
        ScriptedRuntimeApi() as api,
        ScriptedApp() as app,
        RuntimeProcess(api, app=app, interpreter=("-X", "importtime")) as runtime,
    ):
        assert api.invoke({"Records": []}).answer().body == b"ok"
        runtime.terminate()
        assert runtime.exit_code() == 0
    imported = set(re.findall(r"^import time:.*\| +(\S+)$", runtime.stderr(), re.MULTILINE))
    assert "adapter.runtime.invocation_relay" in imported
    assert not imported & set(SLOW)


def test_the_list_of_slow_modules_is_itself_right() -> None:
    """Each name is one that an import would put there: a misspelt one would never be found."""
    names = {*SLOW, *LATER}
    assert names <= modules_loaded_by("\n".join(f"import {name}" for name in names))


def test_the_folders_of_the_package_are_packages() -> None:
    for folder in {module.parent for module in MODULES}:
        assert (folder / "__init__.py").exists(), folder
