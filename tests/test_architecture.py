"""The shape of the code: imports point one way, the core does no I/O, and the runtime starts without anything slow."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runtime_process import RuntimeProcess
from tests.scripted_app import ScriptedApp
from tests.scripted_runtime_api import ScriptedRuntimeApi

PACKAGE = Path(__file__).resolve().parent.parent / "adapter"
MODULES = sorted(PACKAGE.rglob("*.py"))

# What the modules of each layer may import of adapter/. A layer is a folder, or one module of the package itself.
CORE = {"errors", "limits", "payload", "http1", "throttle", "compression"}
SETTINGS = {"config", "option", "options", "parse", "ports"}
SERVERS = {"descriptors", "http_server", "logs", "pacing", "port_owner"}
ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "limits": set(),
    "throttle": {"limits"},
    "payload": {"payload", "errors"},
    "http1": {"errors", "payload"},
    "compression": {"errors", "payload"},
    "parse": {"errors", "limits", "sizes"},
    "option": {"parse"},
    "options": {"limits", "option", "parse"},
    "config": {"errors", "option", "options"},
    "ports": {"errors", "config"},
    "logs": {"errors", "payload"},
    "supervisor": {"errors", "program"},
    "pacing": {"errors", "limits", "throttle"},
    "http_server": CORE | {"pacing", "logs", "http_server"},
    "runtime": CORE | SETTINGS | {"logs", "supervisor", "runtime"},
    "proxy": CORE | SETTINGS | SERVERS | {"supervisor", "sizes", "proxy"},
    "emulator": CORE | SETTINGS | SERVERS | {"supervisor", "own_command", "program", "sizes", "emulator"},
    "own_command": set(),
    "lean_imports": set(),
    "program": set(),
    "sizes": set(),
    "descriptors": set(),
    "port_owner": {"ports"},
    "health": SETTINGS | {"errors", "http1", "payload", "logs", "runtime"},
    "check": SETTINGS | {"errors", "port_owner", "program", "runtime"},
}
ENTRY_POINTS = {"__main__", "cli", "start"}
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
WITHOUT_IO = ("payload", "http1", "limits", "throttle", "compression", "errors")


def layer_of(module: Path) -> str:
    first = module.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def name_of(module: Path) -> str:
    return ".".join(("adapter", *module.relative_to(PACKAGE).with_suffix("").parts))


def in_layer(*layers: str) -> list[Path]:
    return [module for module in MODULES if layer_of(module) in layers]


def imports_of(tree: ast.AST) -> Iterator[str]:
    """The dotted names that ``tree`` imports anywhere, also within functions and for the type checker only."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a relative import"
            # "from adapter import parse" names a module as well.
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def parsed(module: Path) -> ast.Module:
    return ast.parse(module.read_text("utf-8"), str(module))


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_imports_point_one_way(module: Path) -> None:
    layer = layer_of(module)
    if layer in ENTRY_POINTS | {"__init__"}:
        return
    assert layer in ALLOWED, f"adapter/{layer} has no place in the layers yet"
    ours = {name.split(".")[1] for name in imports_of(parsed(module)) if name.startswith("adapter.")}
    assert ours - {"__version__"} <= ALLOWED[layer]


def test_nothing_imports_the_entry_points_but_each_other() -> None:
    for module in MODULES:
        if layer_of(module) not in ENTRY_POINTS:
            assert not ENTRY_POINTS & {
                name.split(".")[1] for name in imports_of(parsed(module)) if name.startswith("adapter.")
            }


@pytest.mark.parametrize("module", in_layer(*WITHOUT_IO), ids=name_of)
def test_the_core_does_no_io_and_reads_no_clock(module: Path) -> None:
    imported = set(imports_of(parsed(module)))
    assert not {name.split(".")[0] for name in imported} & IO
    assert not imported & {"time", "datetime", *CLOCKS}


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_only_config_reads_the_environment(module: Path) -> None:
    reads = [
        node.lineno
        for node in ast.walk(parsed(module))
        if (isinstance(node, ast.Attribute) and node.attr in ("environ", "environb", "getenv", "getenvb"))
        or (isinstance(node, ast.alias) and node.name in ("environ", "getenv"))
    ]
    assert bool(reads) == (layer_of(module) == "config"), f"lines {reads}"


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
    loaded = modules_loaded_by("import adapter.__main__, adapter.start, adapter.runtime.loop")
    assert "adapter.runtime.relay" in loaded
    assert not loaded & set(SLOW)


def test_what_comes_before_the_app_loads_next_to_nothing() -> None:
    loaded = modules_loaded_by("import adapter.__main__, adapter.start")
    assert "adapter.supervisor" in loaded
    assert not loaded & {*SLOW, *LATER}


def test_what_comes_before_the_app_is_not_compiled() -> None:
    """The first compiled module brings all of them, which would hold up the app for more than a millisecond."""
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())
    hook = project["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]["mypyc"]
    compiled = {
        name_of(module)
        for pattern in hook["include"]
        for module in PACKAGE.parent.glob(pattern)
        if not any(module.match(excluded) for excluded in hook["exclude"])
    }
    assert "adapter.runtime.relay" in compiled
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
    assert "adapter.runtime.relay" in imported
    assert not imported & set(SLOW)


def test_the_list_of_slow_modules_is_itself_right() -> None:
    """Each name is one that an import would put there: a misspelt one would never be found."""
    names = {*SLOW, *LATER}
    assert names <= modules_loaded_by("\n".join(f"import {name}" for name in names))


def test_the_folders_of_the_package_are_packages() -> None:
    for folder in {module.parent for module in MODULES}:
        assert (folder / "__init__.py").exists(), folder
