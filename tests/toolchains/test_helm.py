"""The Helm chart in deploy/helm: helm's own lint, and what it renders in the eyes of Kubernetes' schemas."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.toolchains.build import FIRST_BUILD, helm

pytestmark = pytest.mark.timeout(FIRST_BUILD)

CHART = Path(__file__).resolve().parents[2] / "deploy" / "helm"
KUBERNETES_VALIDATE = Path(sys.executable).parent / "kubernetes-validate"
# The oldest release that the chart allows, and the newest one that is known.
KUBERNETES = ["1.30.0", "1.37.0"]
EVERYTHING = ("--set", "autoscaling.enabled=true,adapter.env[0].name=A,adapter.env[0].value=b,app.env[0].name=C")
SETTINGS = [
    pytest.param(("--set", f"mode={mode}", *more), id=f"{mode}-{name}")
    for mode in ("sidecar", "entrypoint")
    for name, more in (("default", ()), ("everything", EVERYTHING))
]


def pod_of(flags: str) -> Any:
    return objects("--set", flags)["Deployment"]["spec"]["template"]["spec"]


def run_helm(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([helm(), *arguments], capture_output=True, text=True, check=False)


def rendered(*flags: str, chart: Path = CHART) -> str:
    done = run_helm("template", "shop", chart, "--kube-version", KUBERNETES[0], *flags)
    assert done.returncode == 0, done.stderr
    return done.stdout


def objects(*flags: str, chart: Path = CHART) -> dict[str, Any]:
    return {each["kind"]: each for each in yaml.safe_load_all(rendered(*flags, chart=chart)) if each}


@pytest.mark.parametrize("flags", SETTINGS)
def test_helm_finds_nothing(flags: tuple[str, ...]) -> None:
    done = run_helm("lint", "--strict", CHART, *flags)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("flags", SETTINGS)
def test_what_helm_renders_is_valid(flags: tuple[str, ...], version: str, tmp_path: Path) -> None:
    file = tmp_path / "rendered.yaml"
    file.write_text(rendered(*flags), "utf-8")

    done = subprocess.run(
        [KUBERNETES_VALIDATE, "--strict", "--quiet", "-k", version, file], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_a_mode_that_does_not_exist_is_refused() -> None:
    done = run_helm("template", "shop", CHART, "--kube-version", KUBERNETES[0], "--set", "mode=side")

    assert done.returncode != 0
    assert 'mode: "side" is neither sidecar nor entrypoint' in done.stderr


def test_the_sidecar_ends_after_the_app_which_pauses_first() -> None:
    pod = pod_of("adapter.drainDelay=7,adapter.grace=30")

    [sidecar] = pod["initContainers"]
    assert sidecar["restartPolicy"] == "Always"
    assert {"name": "AWS_LWA_PORT", "value": "8080"} in sidecar["env"]
    assert sidecar["startupProbe"]["httpGet"]["path"] == "/healthz"
    assert pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"] == 7
    assert pod["terminationGracePeriodSeconds"] > 7 + 30


def test_the_app_beside_a_sidecar_gets_the_port_that_the_sidecar_connects_to() -> None:
    pod = pod_of("app.port=3000,app.env[0].name=A,app.env[0].value=b")

    assert {"name": "AWS_LWA_PORT", "value": "3000"} in pod["initContainers"][0]["env"]
    assert pod["containers"][0]["env"] == [{"name": "PORT", "value": "3000"}, {"name": "A", "value": "b"}]


@pytest.mark.parametrize("mode", ["sidecar", "entrypoint"])
@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("", {"runAsUser": 10001}),
        ("runAsUser=1234567", {"runAsUser": 1234567}),
        ("runAsUser=null", {}),
    ],
)
def test_an_image_whose_user_is_root_runs_as_another_user(flags: str, expected: dict[str, int], mode: str) -> None:
    context = pod_of(f"mode={mode},{flags}")["securityContext"]

    assert context == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}, **expected}


def test_the_entrypoint_drains_by_itself() -> None:
    pod = objects("--set", "mode=entrypoint,adapter.drainDelay=7,adapter.grace=30")["Deployment"]["spec"]["template"][
        "spec"
    ]

    [app] = pod["containers"]
    assert "initContainers" not in pod
    assert {"name": "ADAPTER_DRAIN_DELAY", "value": "7"} in app["env"]
    assert app["startupProbe"]["httpGet"]["path"] == "/readyz"
    assert "lifecycle" not in app
    assert pod["terminationGracePeriodSeconds"] > 7 + 30


def test_the_autoscaler_reads_a_metric_that_the_adapter_has() -> None:
    from adapter.proxy.metrics import Metrics

    rendered_objects = objects(*EVERYTHING)
    [metric] = rendered_objects["HorizontalPodAutoscaler"]["spec"]["metrics"]

    assert f"\n{metric['pods']['metric']['name']} " in Metrics().exposition().decode()
    assert "replicas" not in rendered_objects["Deployment"]["spec"]
    assert rendered_objects["PodDisruptionBudget"]["spec"]["maxUnavailable"] == 1


def test_the_chart_of_adapter_init_renders(tmp_path: Path) -> None:
    command = ["python", "it's {{ .Values }}", "{port}"]
    subprocess.run([sys.executable, "-I", "-m", "adapter", "init", "helm", "--", *command], cwd=tmp_path, check=True)

    chart = tmp_path / "chart"
    assert run_helm("lint", "--strict", chart).returncode == 0
    [app] = objects(chart=chart)["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert app["command"] == ["python", "it's {{ .Values }}", "8080"], json.dumps(app)
