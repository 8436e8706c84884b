"""The services for Knative and Cloud Run, in Knative's own types, and their pod in the eyes of Kubernetes' schema."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from tests.deploy.conftest import RunLinter
from tests.toolchains.build import FIRST_BUILD, knative_types

DEPLOY = Path(__file__).resolve().parent.parent.parent / "deploy"
# Fields of a revision that a pod does not have.
OF_KNATIVE = {"containerConcurrency", "timeoutSeconds"}
SERVICES = pytest.mark.parametrize("name", ["kubernetes/knative.yaml", "cloud-run.yaml"])


def checked_by_knative(text: str, tmp_path: Path) -> tuple[int, str]:
    """Return the exit code and the output of Knative's own decoding and validation."""
    file = tmp_path / "service.yaml"
    # What a user fills in.
    file.write_text(text.replace("/PROJECT/", "/a-project/"), "utf-8")
    done = subprocess.run([knative_types(), file], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.timeout(FIRST_BUILD)
@SERVICES
def test_a_service_is_valid_in_the_types_of_knative(name: str, tmp_path: Path) -> None:
    assert checked_by_knative((DEPLOY / name).read_text("utf-8"), tmp_path) == (0, "")


@pytest.mark.timeout(FIRST_BUILD)
@SERVICES
@pytest.mark.parametrize(
    ("right", "wrong", "problem"),
    [
        pytest.param("timeoutSeconds:", "timeoutSecond:", 'unknown field "timeoutSecond"', id="misspelt"),
        pytest.param("timeoutSeconds: 300", "timeoutSeconds: five", "cannot unmarshal string", id="wrong type"),
        pytest.param("timeoutSeconds: 300", "timeoutSeconds: 9999", "expected 0 <= 9999 <= 600", id="out of range"),
        pytest.param("name: http1", "name: http3", "Port name http3 is not allowed", id="unknown protocol"),
    ],
)
def test_knative_finds_a_mistake(name: str, right: str, wrong: str, problem: str, tmp_path: Path) -> None:
    text = (DEPLOY / name).read_text("utf-8")
    assert right in text

    code, output = checked_by_knative(text.replace(right, wrong), tmp_path)

    assert code == 1
    assert problem in output


@SERVICES
@pytest.mark.parametrize("is_misspelt", [False, True])
def test_the_pod_of_a_service_is_valid(name: str, is_misspelt: bool, run_linter: RunLinter, tmp_path: Path) -> None:
    service = yaml.safe_load((DEPLOY / name).read_text("utf-8"))
    assert (service["apiVersion"], service["kind"]) == ("serving.knative.dev/v1", "Service")
    template = service["spec"]["template"]
    spec = {field: value for field, value in template["spec"].items() if field not in OF_KNATIVE}
    assert len(spec) == len(template["spec"]) - len(OF_KNATIVE)
    if is_misspelt:
        spec["containers"][0]["prots"] = spec["containers"][0].pop("ports")
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", **template.get("metadata", {})}, "spec": spec}
    file = tmp_path / "pod.yaml"
    file.write_text(yaml.safe_dump(pod), "utf-8")

    result = run_linter("kubernetes-validate", "--strict", "--quiet", "-k", "1.37.0", file)

    assert (result.returncode != 0) is is_misspelt, result.stdout


@SERVICES
def test_the_adapter_listens_on_the_platforms_port(name: str) -> None:
    service = yaml.safe_load((DEPLOY / name).read_text("utf-8"))
    [container] = service["spec"]["template"]["spec"]["containers"]

    # The images set it, and it would take precedence over PORT.
    assert {"name": "ADAPTER_LISTEN", "value": ""} in container["env"]
