"""Files of variables: what they may have in them, and how their mistakes are reported."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapter.emulator.commands.env_file import prefix_file_name, read_env_file
from adapter.errors import ConfigurationError


def variables(folder: Path, text: str) -> dict[str, str]:
    file = folder / "env"
    file.write_text(text)
    return read_env_file(str(file))


@pytest.mark.parametrize(
    ("line", "value"),
    [
        pytest.param("K=value", "value", id="plain"),
        pytest.param("  K = value  ", "value", id="blanks"),
        pytest.param("export K=value", "value", id="export"),
        pytest.param("K=", "", id="empty"),
        pytest.param("K=a=b", "a=b", id="equals"),
        pytest.param("K=http://h/#part # comment", "http://h/#part", id="fragment-and-comment"),
        pytest.param("K=# comment", "", id="comment-alone"),
        pytest.param('K="a # \\"b\\"\\n" # comment', 'a # "b"\n', id="double-quotes"),
        pytest.param('K="\\d\\\\"', "\\d\\", id="other-escapes-stay"),
        pytest.param("K='a # \\n'", "a # \\n", id="single-quotes"),
        pytest.param("K=$HOME", "$HOME", id="nothing-is-expanded"),
        pytest.param("K=grün", "grün", id="utf-8"),
    ],
)
def test_a_line_gives_a_variable(tmp_path: Path, line: str, value: str) -> None:
    assert variables(tmp_path, f"# first\n\n{line}\n") == {"K": value}


def test_a_byte_order_mark_is_no_part_of_the_first_variable(tmp_path: Path) -> None:
    assert variables(tmp_path, "\ufeffK=value\n") == {"K": "value"}


def test_of_repeats_the_last_counts(tmp_path: Path) -> None:
    assert variables(tmp_path, "A=1\nB=2\nA=3") == {"A": "3", "B": "2"}


def test_every_mistake_is_told_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as error:
        variables(tmp_path, "A=1\nnothing\n2B=x\nC=\"open\nD='open\nE='a' b\n=x\n")
    reported = [mistake.partition(", line ")[2] for mistake in error.value.mistakes]
    assert reported == [
        "2: is not KEY=VALUE",
        "3: does not begin with the name of a variable (letters, digits and _)",
        "4: C has no closing quote",
        "5: D has no closing quote",
        "6: E has text after the closing quote",
        "7: does not begin with the name of a variable (letters, digits and _)",
    ]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param("ADAPTER_X: no option has this name", ".env: ADAPTER_X: no option has this name", id="mistake"),
        pytest.param("AWS_LWA_X is not known", ".env: AWS_LWA_X is not known", id="warning"),
        pytest.param("ADAPTER_XY: no option has this name", "ADAPTER_XY: no option has this name", id="longer-name"),
        pytest.param("--memory: '1' is not memory", "--memory: '1' is not memory", id="flag"),
    ],
)
def test_what_is_said_of_a_files_variable_has_its_name_before_it(line: str, expected: str) -> None:
    assert prefix_file_name(".env", {"ADAPTER_X": "1", "AWS_LWA_X": "1"}, [line]) == [expected]


def test_a_file_that_cannot_be_read_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
        read_env_file(str(tmp_path / "none"))
    (tmp_path / "bytes").write_bytes(b"A=\xff")
    with pytest.raises(ConfigurationError, match="is not UTF-8"):
        read_env_file(str(tmp_path / "bytes"))


@pytest.mark.parametrize(
    "line",
    [
        "secret",
        "se cret=",
        "A='secret",
        'A="secret',
        "A='secret' secret",
        "A='x' secret",
        "7secret=x",
        "-----BEGIN secret KEY-----",
        "sécret=1",
        "secret+/x=",
    ],
)
def test_a_mistake_shows_no_part_of_the_line(tmp_path: Path, line: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        variables(tmp_path, f"B=1\n{line}\n")
    assert ", line 2: " in str(error.value)
    assert not [part for part in ("secret", "cret", "KEY-----") if part in str(error.value)]
