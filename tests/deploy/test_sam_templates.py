"""SAM templates in the eyes of ``adapter dev --template``; tests/toolchains has linter and translator."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapter.emulator.template.document import read_document
from adapter.emulator.template.template import load_template

SAM = Path(__file__).resolve().parent.parent.parent / "deploy" / "sam"
TEMPLATES = sorted(path.name for path in SAM.glob("*.yaml"))
# What stands in front, and how it sends responses.
DOORS = {
    "alb.yaml": ("alb-multi-value", "buffered"),
    "cloudfront.yaml": ("function-url", "response_stream"),
    "custom-runtime.yaml": ("function-url", "response_stream"),
    "http-api.yaml": ("http-api", "buffered"),
    "image-url.yaml": ("function-url", "response_stream"),
    "managed-instances.yaml": ("function-url", "response_stream"),
    "rest-api-stream.yaml": ("rest-api", "response_stream"),
    "snapstart.yaml": ("function-url", "response_stream"),
    "zip-layer-url.yaml": ("function-url", "response_stream"),
}


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_means_the_same_here_as_on_lambda(name: str) -> None:
    template = load_template(str(SAM / name), "Web", "us-east-1", [])
    options = {option: text for option, (text, _) in template.options.items()}
    door, mode = DOORS[name]

    assert options["front_doors"] == door
    # Both halves of streaming agree.
    assert (options["url_invoke_mode"].lower(), template.variables["AWS_LWA_INVOKE_MODE"]) == (mode, mode)
    assert (int(options["timeout"]), int(options["memory"])) >= (30, 1024)
    assert ("auth" in options) is (door == "function-url")


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_limits_are_parameters(name: str) -> None:
    content = read_document(str(SAM / name)).content
    web = content["Resources"]["Web"]["Properties"]

    assert (web["Timeout"], web["MemorySize"]) == ({"Ref": "Timeout"}, {"Ref": "Memory"})
    assert int(content["Parameters"]["Timeout"]["MaxValue"]) in (30, 900)
