"""The workflows for test and release in the eyes of GitHub's schema and of zizmor, which knows what can go wrong."""

from __future__ import annotations

import re
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parent.parent.parent
GITHUB = REPOSITORY / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
SCHEMA = ("check-jsonschema", "--builtin-schema", "vendor.github-workflows")
ZIZMOR = ("zizmor", "--offline", "--no-progress", "--quiet", "--config", str(GITHUB / "zizmor.yml"))

RunLinter = Callable[..., subprocess.CompletedProcess[str]]


def test_there_are_workflows_for_test_and_release() -> None:
    assert [path.name for path in WORKFLOWS] == ["release.yml", "test.yml"]


@pytest.mark.parametrize("linter", [SCHEMA, ZIZMOR], ids=["schema", "zizmor"])
@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_linter_finds_nothing(path: Path, linter: tuple[str, ...], run_linter: RunLinter) -> None:
    result = run_linter(*linter, path)

    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("linter", "right", "wrong"),
    [
        pytest.param(SCHEMA, "runs-on:", "run-on:", id="schema"),
        pytest.param(ZIZMOR, "persist-credentials: false", "fetch-depth: 1", id="zizmor"),
    ],
)
def test_a_linter_finds_what_it_should(
    linter: tuple[str, ...], right: str, wrong: str, run_linter: RunLinter, tmp_path: Path
) -> None:
    text = (GITHUB / "workflows/test.yml").read_text("utf-8")
    assert right in text
    changed = tmp_path / "test.yml"
    changed.write_text(text.replace(right, wrong), "utf-8")

    assert run_linter(*linter, changed).returncode != 0


def test_the_suite_runs_on_every_version_that_the_package_claims() -> None:
    jobs = yaml.safe_load((GITHUB / "workflows/test.yml").read_text("utf-8"))["jobs"]
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    claimed = [match[1] for text in project["classifiers"] if (match := re.search(r":: (3\.\d+)$", text))]

    assert jobs["suite"]["strategy"]["matrix"]["python"] == claimed


def test_a_workflow_runs_what_the_makefile_and_the_scripts_have() -> None:
    makefile = (REPOSITORY / "Makefile").read_text("utf-8")
    for path in WORKFLOWS:
        text = path.read_text("utf-8")
        assert all(
            re.search(rf"^{target}:", makefile, re.MULTILINE) for target in re.findall(r"run: make ([a-z-]+)", text)
        )
        assert all((REPOSITORY / script).exists() for script in re.findall(r"run: (?:bash )?([a-z.]+/\S+)", text))
