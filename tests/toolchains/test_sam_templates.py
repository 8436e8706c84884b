"""SAM templates in the eyes of cfn-lint, before and after SAM's own translator, and two of them with their example.

tests/deploy/test_sam_templates.py has what takes less time.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.e2e.local_lambda import local_lambda

pytestmark = [pytest.mark.timeout(600), pytest.mark.filterwarnings("default")]

REPOSITORY = Path(__file__).resolve().parents[2]
SAM = REPOSITORY / "deploy" / "sam"
TEMPLATES = [*sorted(SAM.glob("*.yaml")), REPOSITORY / "examples/sqs_worker/template.yaml"]
MISSPELT = {
    "image-url.yaml": ("FunctionUrlConfig:", "FunctionURLConfig:"),
    "cloudfront.yaml": ("SigningBehavior:", "SignBehavior:"),
    "rest-api-stream.yaml": ("ResponseTransferMode: STREAM", "ResponseTransferMode: STREAMED"),
    "managed-instances.yaml": ("MaxVCpuCount:", "MaxCpuCount:"),
}


def cfn_lint(files: Iterable[Path]) -> tuple[int, str]:
    """The exit code of cfn-lint, and what it found. One run for all files, since its start takes most of the time."""
    command = [str(Path(sys.executable).parent / "cfn-lint"), "--", *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def as_deployed(file: Path) -> dict[str, Any]:
    """The CloudFormation template that SAM makes, with the places where ``sam deploy`` would have put the code."""
    from cfnlint.decode import decode
    from samtranslator.parser.parser import Parser
    from samtranslator.translator.translator import Translator

    decoded, mistakes = decode(str(file))
    assert not mistakes
    template = json.loads(json.dumps(decoded))
    for resource in template["Resources"].values():
        properties = resource["Properties"]
        if properties.get("PackageType") == "Image":
            properties["ImageUri"] = "123456789012.dkr.ecr.us-east-1.amazonaws.com/web:1"
        elif resource["Type"] == "AWS::Serverless::Function":
            properties["CodeUri"] = "s3://bucket/code"
        elif resource["Type"] == "AWS::Serverless::LayerVersion":
            properties["ContentUri"] = "s3://bucket/layer"
    session = boto3.Session(region_name="us-east-1")
    translated: dict[str, Any] = Translator({}, Parser(), boto_session=session).translate(template, {})
    return translated


def test_cfn_lint_finds_nothing(tmp_path: Path) -> None:
    adapter = [sys.executable, "-I", "-m", "adapter"]
    subprocess.run([*adapter, "init", "sam", "--", "server", "{port}"], cwd=tmp_path, check=True)

    assert cfn_lint([*TEMPLATES, tmp_path / "template.yaml"]) == (0, "")


def test_cfn_lint_finds_nothing_in_what_sam_makes(tmp_path: Path) -> None:
    translated = []
    for number, file in enumerate(TEMPLATES):
        translated.append(tmp_path / f"{number}-{file.stem}.json")
        translated[-1].write_text(json.dumps(as_deployed(file)))

    assert cfn_lint(translated) == (0, "")


def test_cfn_lint_finds_what_it_should(tmp_path: Path) -> None:
    for name, (right, wrong) in MISSPELT.items():
        text = (SAM / name).read_text("utf-8")
        assert right in text
        (tmp_path / name).write_text(text.replace(right, wrong), "utf-8")

    code, found = cfn_lint(tmp_path / name for name in MISSPELT)

    assert code != 0
    assert all(name in found for name in MISSPELT)


@pytest.mark.parametrize(("name", "framework"), [("image-url.yaml", "fastapi"), ("zip-layer-url.yaml", "flask")])
def test_a_template_serves_its_example(name: str, framework: str, tmp_path: Path) -> None:
    flags = ("--template", str(SAM / name), "--auth", "none")
    # The example's server is beside this interpreter.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with local_lambda(directory=tmp_path, flags=flags, PATH=path) as local:
        reply = local.ask("/")
        assert reply.status == 200
        assert json.loads(reply.body)["framework"] == framework
