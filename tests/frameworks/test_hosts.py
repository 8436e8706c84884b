"""An app that checks its Host, behind ``adapter dev --domain``: what docs/lambda.md says to set."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.e2e.local_lambda import local_lambda

HERE = Path(__file__).resolve().parent
UVICORN = (sys.executable, "-m", "uvicorn", "main:app", "--port", "{port}", "--log-level", "warning")
DOMAIN = "abc.lambda-url.us-east-1.on.aws"


@pytest.mark.parametrize(("allowed", "status"), [("127.0.0.1", 400), (DOMAIN, 200)])
def test_django_answers_400_unless_the_domain_is_allowed(allowed: str, status: int) -> None:
    flags = ("--domain", DOMAIN)
    app = HERE / "django_app"
    # Django checks the Host when it is asked for it, as its own middleware does.
    variables = {"ALLOWED_HOSTS": allowed, "AWS_LWA_READINESS_CHECK_PROTOCOL": "tcp"}
    with local_lambda(*UVICORN, directory=app, flags=flags, **variables) as running:
        assert running.ask("/host").status == status
