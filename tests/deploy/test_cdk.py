"""The CDK apps: both are synthesised without a network, make the same template, and cfn-lint accepts it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.conftest import RunLinter
from tests.toolchains.build import FIRST_BUILD, cdk_python, cdk_typescript

pytestmark = pytest.mark.timeout(FIRST_BUILD)

OFFLINE = ("unshare", "--net", *(() if os.geteuid() == 0 else ("--user", "--map-root-user")))
# Node 20 has ended, and jsii says so on stderr.
QUIET = {"CDK_DISABLE_CLI_TELEMETRY": "true", "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "true"}


def done(folder: Path, *command: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*OFFLINE, *command], cwd=folder, env=os.environ | QUIET | environ, capture_output=True, text=True, check=False
    )


def template_of(output: Path) -> dict[str, Any]:
    template: dict[str, Any] = json.loads((output / "Web.template.json").read_text("utf-8"))
    return template


def resources_of(output: Path) -> dict[str, Any]:
    """Return the resources without what the CDK adds for itself."""
    resources = template_of(output)["Resources"]
    return {
        name: {field: value for field, value in resource.items() if field != "Metadata"}
        for name, resource in resources.items()
        if resource["Type"] != "AWS::CDK::Metadata"
    }


@pytest.fixture(scope="module")
def typescript(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the TypeScript app makes."""
    output = tmp_path_factory.mktemp("typescript")
    result = done(cdk_typescript(), "npm", "run", "synth", "--", "--quiet", "--no-notices", "--output", output)
    assert result.returncode == 0, result.stdout + result.stderr
    return output


def test_cfn_lint_accepts_the_template(typescript: Path, run_linter: RunLinter) -> None:
    # W3005: the CDK writes each DependsOn, also one that a GetAtt implies.
    arguments = ("--ignore-checks", "W3005", "--")
    template = typescript / "Web.template.json"

    result = run_linter("cfn-lint", *arguments, template)
    wrong = typescript / "wrong.json"
    wrong.write_text(template.read_text("utf-8").replace('"Timeout": 60', '"Timeout": 901'), "utf-8")
    result_of_wrong = run_linter("cfn-lint", *arguments, wrong)

    assert result.returncode == 0, result.stdout
    assert "901 is greater than the maximum of 900" in result_of_wrong.stdout


def test_the_function_streams_and_its_requests_are_signed(typescript: Path) -> None:
    by_type = {resource["Type"]: resource["Properties"] for resource in resources_of(typescript).values()}

    function, url = by_type["AWS::Lambda::Function"], by_type["AWS::Lambda::Url"]
    assert function["Environment"]["Variables"] == {"AWS_LWA_INVOKE_MODE": "response_stream"}
    assert (url["InvokeMode"], url["AuthType"]) == ("RESPONSE_STREAM", "AWS_IAM")
    assert list(template_of(typescript)["Outputs"]) == ["Url"]


def test_the_python_app_makes_the_same_template(typescript: Path, tmp_path: Path) -> None:
    folder, python = cdk_python()

    result = done(folder, python, "app.py", CDK_OUTDIR=str(tmp_path))

    assert result.returncode == 0, result.stderr
    assert resources_of(tmp_path) == resources_of(typescript)


def test_a_misspelt_property_is_found(tmp_path: Path) -> None:
    folder = cdk_typescript()
    right = (folder / "app.ts").read_text("utf-8")
    (tmp_path / "app.ts").write_text(right.replace("invokeMode:", "invokeMod:"), "utf-8")
    for name in ("node_modules", "tsconfig.json"):
        (tmp_path / name).symlink_to(folder / name)

    result = done(tmp_path, "npx", "tsc", "--noEmit", "--project", tmp_path)

    assert result.returncode != 0
    assert "'invokeMod' does not exist" in result.stdout
