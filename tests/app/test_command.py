"""Whether CMD can be started, before it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapter.app.command import command_mistakes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "bin").mkdir()
    for name in ("run.sh", "bin/tool"):
        (tmp_path / name).touch(mode=0o755)
    (tmp_path / "data").touch(mode=0o644)
    return tmp_path


@pytest.mark.parametrize(
    ("command", "path", "mistake"),
    [
        pytest.param([], "", None, id="no-command"),
        pytest.param(["./run.sh"], "", None, id="a-path-in-the-folder"),
        pytest.param(["tool"], "{folder}/bin", None, id="a-name-on-PATH"),
        pytest.param(["tool"], "bin", None, id="a-name-on-a-relative-PATH"),
        pytest.param(["tool"], "/", "CMD: 'tool' is not a program that can be run (it is not on PATH)", id="name"),
        pytest.param(
            ["./none"],
            "",
            "CMD: './none' is not a program that can be run (it is neither in {folder} (--app-dir) nor in {here})",
            id="nothing",
        ),
        pytest.param(
            ["./bin"], "", "CMD: './bin' is not a program that can be run ({folder}/bin is a folder)", id="a-folder"
        ),
        pytest.param(["./here.sh"], "", None, id="a-path-in-the-current-folder"),
    ],
)
def test_a_program_is_found_as_the_system_finds_it(
    folder: Path,
    command: list[str],
    path: str,
    mistake: str | None,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = tmp_path_factory.mktemp("here")
    (here / "here.sh").touch(mode=0o755)
    monkeypatch.chdir(here)
    found = list(command_mistakes(command, {"PATH": path.format(folder=folder)}, str(folder)))
    mistakes = [] if mistake is None else [mistake.format(folder=folder, here=here)]
    assert found == [f"{each}; give the program's path, or its name if it is on PATH" for each in mistakes]


def test_a_path_is_looked_for_in_the_current_folder_alone_without_another() -> None:
    [mistake] = command_mistakes(["./none"], {}, None)
    assert "(it does not exist)" in mistake


def test_a_file_without_the_run_bit_is_named_with_the_command_that_sets_it(folder: Path) -> None:
    [mistake] = command_mistakes(["./data"], {}, str(folder))
    assert mistake.startswith("CMD: './data' is not a program that can be run (")
    assert "is not executable); make it executable: " in mistake
    assert "chmod +x ./data (" in mistake


@pytest.mark.parametrize(
    ("first_line", "mistake"),
    [
        pytest.param(b"#!/bin/sh\n", None, id="a-script"),
        pytest.param(b"#!/usr/bin/env -S node --trace\n", None, id="env"),
        pytest.param(b"#!python\n", None, id="a-relative-interpreter"),
        pytest.param(b"#!\n", None, id="no-interpreter"),
        pytest.param(b"\x7fELF\r\n", None, id="no-script"),
        pytest.param(
            b"#!/bin/sh\r\n", "the script's lines end with CR LF, as on Windows; convert them to LF: sed", id="CR-LF"
        ),
        pytest.param(
            b"#!/usr/bin/env node\r\n", "the script's lines end with CR LF, as on Windows; convert", id="env-CR-LF"
        ),
        pytest.param(
            b"#! /no/bash -e\n", "/no/bash, the interpreter in the script's first line, does not", id="interpreter"
        ),
    ],
)
def test_a_script_that_the_kernel_cannot_start_is_explained(
    folder: Path, first_line: bytes, mistake: str | None
) -> None:
    (folder / "run.sh").write_bytes(first_line + b"exec true\r\n")
    found = list(command_mistakes(["./run.sh"], {}, str(folder)))
    assert len(found) == (mistake is not None)
    assert all(text.startswith(f"CMD: './run.sh' cannot be started: {mistake}") for text in found)


@pytest.mark.parametrize(
    ("environ", "source"), [({}, "--app-dir"), ({"ADAPTER_APP_DIR": "/no/such/folder"}, "ADAPTER_APP_DIR")]
)
def test_a_folder_that_is_not_there_is_named_with_where_it_is_from(environ: dict[str, str], source: str) -> None:
    assert list(command_mistakes(["sh"], environ, "/no/such/folder")) == [
        f"{source}: '/no/such/folder' is not a folder"
    ]


@pytest.mark.parametrize(("name", "mistakes"), [("no-such-program", 2), ("./no-such-program", 1)])
def test_a_name_is_looked_for_even_where_the_folder_is_not_there(name: str, mistakes: int) -> None:
    assert len(list(command_mistakes([name], {}, "/no/such/folder"))) == mistakes


def test_the_program_of_another_option_is_named_by_it() -> None:
    [mistake] = command_mistakes(["no-such-program"], {}, None, source="--runtime")
    assert mistake.startswith("--runtime: 'no-such-program' is not a program")


@pytest.mark.parametrize(
    ("word", "way_out"),
    [
        pytest.param(
            "uvicorn main:app --port {port}", "remove the quotes around the whole command", id="all-in-quotes"
        ),
        pytest.param("cd app && ./run.sh", "or use sh -c '…' to run a shell command", id="of-a-shell"),
        pytest.param("DEBUG=1", "or use env: env NAME=VALUE CMD", id="a-variable"),
    ],
)
def test_a_word_that_is_not_a_program_gets_a_hint_of_its_own(word: str, way_out: str) -> None:
    [mistake] = command_mistakes([word, "more"], {"PATH": "/bin"}, None)
    assert way_out in mistake


@pytest.mark.parametrize("command", ["python3.12 none.py", "python none.pyz", "node src/none.js", "ruby none.rb"])
def test_a_script_that_does_not_exist_is_found_before_the_start(folder: Path, command: str) -> None:
    program, script = command.split()
    (folder / "bin" / program).touch(mode=0o755)
    [mistake] = command_mistakes([program, script], {"PATH": str(folder / "bin")}, str(folder))
    assert mistake == (
        f"CMD: {program!r} cannot run {script!r}: the file does not exist in {folder} (--app-dir); "
        "give the file's path relative to this folder"
    )


def test_an_absolute_path_of_a_script_is_named_without_a_folder(folder: Path) -> None:
    (folder / "bin" / "node").touch(mode=0o755)
    [mistake] = command_mistakes(["node", "/none.js"], {"PATH": str(folder / "bin")}, str(folder))
    assert mistake == "CMD: 'node' cannot run '/none.js': the file does not exist; correct the file's name"


def test_a_script_is_looked_for_in_the_current_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    (folder / "bin" / "node").touch(mode=0o755)
    [mistake] = command_mistakes(["node", "none.js"], {"PATH": "bin"}, None)
    assert mistake == (
        f"CMD: 'node' cannot run 'none.js': the file does not exist in {folder}; correct the file's name"
    )


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(["python"], id="no-script"),
        pytest.param(["python", "there.py"], id="a-script"),
        pytest.param(["python", "-m", "none.py"], id="a-module"),
        pytest.param(["node", "inspect", "none.js"], id="a-debugger"),
        pytest.param(["node", "server"], id="a-name-that-node-completes"),
        pytest.param(["tool", "none.py"], id="another-program"),
    ],
)
def test_what_may_be_right_is_not_refused(folder: Path, command: list[str]) -> None:
    (folder / "there.py").touch()
    (folder / "bin" / command[0]).touch(mode=0o755)
    assert list(command_mistakes(command, {"PATH": str(folder / "bin")}, str(folder))) == []
