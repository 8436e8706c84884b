"""The lists of files in pyproject.toml and the Makefile: every entry matches a file, and nothing falls off a list.

A module that moves, or is split, keeps being compiled, covered and tested as it was.
"""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]
MYPYC = PROJECT["hatch"]["build"]["targets"]["wheel"]["hooks"]["mypyc"]
COVERED = PROJECT["coverage"]["report"]["include"]
MAKEFILE = (REPOSITORY / "Makefile").read_text()
# The hot path: what an invocation or a proxied request runs through.
COMPILED = {
    "logs": {""},
    "output": {""},
    "net": {"http1", "paced_writer", "token_bucket", "transports"},
    "net.server": {
        "chunk_scanner",
        "client_watch",
        "connection",
        "connection_state",
        "deadline",
        "exchange",
        "held_bytes",
        "receive_turns",
        "server_limits",
        "request_parser",
        "server",
    },
    "payload": {
        "body",
        "event",
        "function_response",
        "headers",
        "json_text",
        "messages",
        "proxy_claims",
        "request",
        "request_target",
        "reserved_paths",
        "status_line",
    },
    "payload.formats": {
        "alb",
        "codec",
        "http_api",
        "lattice",
        "pass_through",
        "rest_api",
    },
    "proxy": {"forwarded_request", "metrics", "request_relay", "upstream"},
    "runtime": {
        "api_client",
        "app_client",
        "connection",
        "extension_client",
        "invocation_relay",
        "runtime",
        "slots",
    },
}


def files(pattern: str) -> set[Path]:
    return {path for path in REPOSITORY.glob(pattern) if path.suffix == ".py"}


def groups_of_tests() -> dict[str, list[str]]:
    """Return the variables of the Makefile that list tests, without those that they refer to."""
    groups: dict[str, list[str]] = {}
    for name, value in re.findall(r"^([A-Z]+_TESTS) [:+]= (.+)$", MAKEFILE, re.MULTILINE):
        groups.setdefault(name, []).extend(word for word in value.split() if not word.startswith("$"))
    return groups


@pytest.mark.parametrize("pattern", [*MYPYC["include"], *MYPYC["exclude"], *COVERED])
def test_every_pattern_matches_a_file(pattern: str) -> None:
    assert files(pattern)


def test_every_path_in_a_group_of_tests_exists() -> None:
    groups = groups_of_tests()
    assert set(groups) >= {"CORE_TESTS", "COMPILED_TESTS"}
    missing = [path for paths in groups.values() for path in paths if not (REPOSITORY / path).exists()]
    assert not missing


def test_what_is_compiled_is_the_hot_path() -> None:
    excluded = set().union(*map(files, MYPYC["exclude"]))
    compiled = set().union(*map(files, MYPYC["include"])) - excluded
    expected = {
        REPOSITORY / "adapter" / Path(*package.split("."), module).with_suffix(".py")
        for package, modules in COMPILED.items()
        for module in modules
    }
    assert compiled == expected


def test_no_tuple_in_compiled_modules_is_final() -> None:
    """Reading a Final tuple of floats in compiled code raises NameError (mypyc 2.4); others are built at each use."""
    found = [
        f"{path.relative_to(REPOSITORY)}: {ast.unparse(node.target)}"
        for path in sorted(set().union(*map(files, MYPYC["include"])))
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.AnnAssign)
        and "Final" in ast.unparse(node.annotation)
        and isinstance(node.value, ast.Tuple)
    ]
    assert found == []


def test_what_is_covered_is_the_core() -> None:
    covered = set().union(*map(files, COVERED))
    core = files("adapter/payload/**/*.py") | {
        REPOSITORY / "adapter" / name for name in ("aws/limits.py", "net/http1.py", "net/token_bucket.py")
    }
    assert covered == core


@pytest.mark.parametrize("page", ["docs/architecture.md", "docs/glossary.md"])
def test_every_module_that_a_page_names_exists(page: str) -> None:
    """A page names a module by the end of its path: ``scheduler.py``, ``front_doors/alb.py``, ``payload/formats/``."""
    named = set(
        re.findall(r"`((?:[a-z_0-9]+/)*(?:[a-z_0-9]+/|[a-z_0-9]+\.(?:py|json)))`", (REPOSITORY / page).read_text())
    )
    existing = [f"/{path.relative_to(REPOSITORY)}{'/' * path.is_dir()}" for path in REPOSITORY.glob("adapter/**/*")]
    existing += [
        f"/{path.relative_to(REPOSITORY)}" for top in ("tests", "deploy") for path in (REPOSITORY / top).rglob("*.py")
    ]
    missing = [name for name in named if not any(path.endswith(f"/{name}") for path in existing)]
    assert named
    assert not missing
