"""The files in deploy/ in the eyes of validators that carry their platform's schemas."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

RunLinter = Callable[..., subprocess.CompletedProcess[str]]

DEPLOY = Path(__file__).resolve().parent.parent.parent / "deploy"
# The oldest release that has native sidecars switched on and a preStop that sleeps, and the newest one that is known.
KUBERNETES = ["1.30.0", "1.37.0"]
KUBERNETES_VALIDATE = ("kubernetes-validate", "--strict", "--quiet")
COMPOSE_SCHEMA = ("check-jsonschema", "--builtin-schema", "vendor.compose-spec")

MANIFESTS = [
    *[
        pytest.param(name, (*KUBERNETES_VALIDATE, "-k", version), id=f"{name}-{version}")
        for name in ("kubernetes/sidecar.yaml", "kubernetes/entrypoint.yaml")
        for version in KUBERNETES
    ],
    pytest.param("compose.yaml", COMPOSE_SCHEMA, id="compose.yaml"),
    pytest.param("ecs.yaml", ("cfn-lint",), id="ecs.yaml"),
    pytest.param("lambda.yaml", ("cfn-lint",), id="lambda.yaml"),
]
MISSPELT = [
    pytest.param("kubernetes/sidecar.yaml", KUBERNETES_VALIDATE, "restartPolicy:", "restartPolice:", id="kubernetes"),
    pytest.param("compose.yaml", COMPOSE_SCHEMA, "environment:", "environ:", id="compose"),
    pytest.param("ecs.yaml", ("cfn-lint",), "StopTimeout:", "StopTimeOut:", id="ecs"),
    pytest.param("lambda.yaml", ("cfn-lint",), "RESPONSE_STREAM", "RESPONSE_STREAMS", id="lambda"),
]


def test_every_manifest_is_listed() -> None:
    listed = {str(parameters.values[0]) for parameters in MANIFESTS}

    others = {path.relative_to(DEPLOY).as_posix() for path in [*DEPLOY.glob("*.y*ml"), *DEPLOY.glob("kubernetes/*")]}

    # tests/toolchains has those of SAM and Helm; these two have no schema, see test_knative.py.
    assert others - {"kubernetes/knative.yaml", "cloud-run.yaml"} == listed


@pytest.mark.parametrize(("name", "validator"), MANIFESTS)
def test_a_manifest_is_valid(name: str, validator: tuple[str, ...], run_linter: RunLinter) -> None:
    result = run_linter(*validator, DEPLOY / name)

    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(("name", "validator", "right", "wrong"), MISSPELT)
def test_a_misspelt_manifest_is_refused(
    name: str, validator: tuple[str, ...], right: str, wrong: str, run_linter: RunLinter, tmp_path: Path
) -> None:
    text = (DEPLOY / name).read_text("utf-8")
    assert right in text
    misspelt = tmp_path / Path(name).name
    misspelt.write_text(text.replace(right, wrong), "utf-8")

    assert run_linter(*validator, misspelt).returncode != 0


@pytest.mark.parametrize("path", [*DEPLOY.glob("*.yaml"), *DEPLOY.glob("kubernetes/*")], ids=lambda path: path.name)
def test_a_manifest_says_which_cap_on_streams_holds(path: Path) -> None:
    assert "ADAPTER_BANDWIDTH" in path.read_text("utf-8")


@pytest.mark.parametrize(
    "name",
    [
        *("deploy/compose.yaml", "deploy/ecs.yaml", "deploy/kubernetes/sidecar.yaml"),
        *("deploy/kubernetes/entrypoint.yaml", "README.md", "docs/deploy/containers.md"),
        *("examples/flask_app/Dockerfile", "examples/fastapi_app/Dockerfile"),
    ],
)
def test_what_runs_in_containers_explains_the_proxys_address_and_cap(name: str) -> None:
    text = (DEPLOY.parent / name).read_text("utf-8")
    for part in ("ADAPTER_LISTEN", "127.0.0.1:9000", "6 MB at once", "2 MB/s", "unlimited"):
        assert part in text, part


def test_the_sidecars_pod_runs_an_image_whose_user_is_root() -> None:
    [pod] = re.findall(
        r"\n      securityContext:\n((?: {8}.*\n)+)", (DEPLOY / "kubernetes/sidecar.yaml").read_text("utf-8")
    )

    assert "runAsNonRoot: true" in pod
    assert "runAsUser: 10001" in pod
