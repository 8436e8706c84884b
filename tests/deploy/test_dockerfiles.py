"""Every Dockerfile, those in the docs included, in the eyes of hadolint, and what all of ours have in common."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent.parent
APPS = ["Dockerfile", "examples/fastapi_app/Dockerfile", "examples/flask_app/Dockerfile"]
# The image of a customer-managed runtime runs on Lambda alone.
DOCKERFILES = [*APPS, "deploy/runtime/Dockerfile"]
DOCS = ["README.md", "docs/lambda.md", "docs/deploy/bundle.md", "docs/deploy/containers.md"]
FENCED = re.compile(r"^```dockerfile\n(.*?)^```$", re.DOTALL | re.MULTILINE)
# A reader's Dockerfile names the adapter's image as it was built in the README, without a tag or a stage of its own.
FREEDOMS_OF_DOCS = ["--ignore", "DL3006", "--ignore", "DL3022"]

RunLinter = Callable[..., subprocess.CompletedProcess[str]]


def documented_dockerfiles() -> Iterator[object]:
    for name in DOCS:
        for number, found in enumerate(FENCED.findall((REPOSITORY / name).read_text("utf-8"))):
            yield pytest.param(found, id=f"{name}-{number}")


def instructions(name: str, keyword: str) -> list[str]:
    """Return the arguments of every ``keyword`` in a Dockerfile's last stage, lines joined."""
    text = (REPOSITORY / name).read_text("utf-8").replace("\\\n", " ")
    stage = re.split(r"^FROM ", text, flags=re.MULTILINE)[-1]
    return re.findall(rf"^{keyword} (.*)$", stage, flags=re.MULTILINE)


def test_every_dockerfile_is_listed() -> None:
    found = {path.relative_to(REPOSITORY).as_posix() for path in REPOSITORY.glob("**/Dockerfile*")}

    assert {name for name in found if not name.startswith(".")} == set(DOCKERFILES)


@pytest.mark.parametrize("name", DOCKERFILES)
def test_hadolint_finds_nothing(name: str, run_linter: RunLinter) -> None:
    result = run_linter("hadolint", REPOSITORY / name)

    assert (result.returncode, result.stdout) == (0, "")


@pytest.mark.parametrize("text", list(documented_dockerfiles()))
def test_hadolint_finds_nothing_in_the_docs(text: str, run_linter: RunLinter) -> None:
    result = run_linter("hadolint", *FREEDOMS_OF_DOCS, "-", text=text)

    assert (result.returncode, result.stdout) == (0, "")


def test_hadolint_finds_what_it_should(run_linter: RunLinter) -> None:
    result = run_linter("hadolint", "-", text="FROM debian\nRUN cd /tmp\n")

    assert result.returncode == 1
    assert "DL3006" in result.stdout


@pytest.mark.parametrize("name", DOCKERFILES)
def test_lambda_may_take_snapshots_of_an_image(name: str) -> None:
    assert instructions(name, "LABEL") == ['com.amazonaws.lambda.feature.snapstart="Allow"']


@pytest.mark.parametrize("name", APPS)
def test_an_image_is_not_root_is_checked_and_says_what_holds(name: str) -> None:
    settings = " ".join(instructions(name, "ENV"))

    assert instructions(name, "USER") == ["10001:10001"]
    assert instructions(name, "HEALTHCHECK")[0].endswith('CMD ["/opt/adapter/bin/adapter", "health"]')
    assert json.loads(instructions(name, "ENTRYPOINT")[0]) == ["/opt/adapter/bin/adapter", "run", "--"]
    assert any("{port}" in word for word in json.loads(instructions(name, "CMD")[0]))
    assert "ADAPTER_LISTEN=0.0.0.0:8000" in settings
    assert "ADAPTER_BANDWIDTH=lambda" in settings
