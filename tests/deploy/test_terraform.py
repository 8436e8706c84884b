"""The Terraform module, as far as a parser can tell: the provider's schema needs the provider."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import hcl2
import pytest

MODULE = Path(__file__).resolve().parent.parent.parent / "deploy/terraform/main.tf"


def parsed(text: str) -> dict[str, Any]:
    content: dict[str, Any] = hcl2.loads(text)
    return content


def test_its_references_lead_somewhere() -> None:
    content = parsed(MODULE.read_text("utf-8"))
    text = MODULE.read_text("utf-8")
    variables = {name.strip('"') for each in content["variable"] for name in each}
    kinds = [(kind, named) for each in content["resource"] for kind, named in each.items()]
    resources = {f"{kind}.{name}".replace('"', "") for kind, named in kinds for name in named}

    assert variables == {"image", "auth_type", "allow_origins", "timeout", "memory"}
    assert {name for name in variables if f"var.{name}" in text} == variables
    assert {name for name in resources if f"{name}." in text} == {
        "aws_iam_role.web",
        "aws_lambda_function.web",
        "aws_lambda_function_url.web",
    }


def test_a_mistake_in_the_syntax_is_found() -> None:
    text = MODULE.read_text("utf-8")

    with pytest.raises(Exception, match="line"):
        parsed(text.replace("environment {", "environment (", 1))
