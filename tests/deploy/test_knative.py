"""The services for Knative and Cloud Run: their pod in the eyes of Kubernetes' schema."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.deploy.conftest import RunLinter

DEPLOY = Path(__file__).resolve().parent.parent.parent / "deploy"
# Fields of a revision that a pod does not have.
OF_KNATIVE = {"containerConcurrency", "timeoutSeconds"}


@pytest.mark.parametrize("name", ["kubernetes/knative.yaml", "cloud-run.yaml"])
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


@pytest.mark.parametrize("name", ["kubernetes/knative.yaml", "cloud-run.yaml"])
def test_the_adapter_listens_on_the_platforms_port(name: str) -> None:
    service = yaml.safe_load((DEPLOY / name).read_text("utf-8"))
    [container] = service["spec"]["template"]["spec"]["containers"]

    # The images set it, and it would take precedence over PORT.
    assert {"name": "ADAPTER_LISTEN", "value": ""} in container["env"]
