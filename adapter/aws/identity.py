"""The account, region and ARN of a local function."""

from __future__ import annotations

# A local function has no account. This is the account id in AWS's own examples ("AWS account identifiers").
ACCOUNT_ID = "123456789012"
# The version of a function that is not published (Lambda, "Versions").
FUNCTION_VERSION = "$LATEST"
DEFAULT_REGION = "us-east-1"


def function_arn(region: str, name: str) -> str:
    """Return the ARN of the function ``name``. The ARN has no version (IAM, "Resources for Lambda")."""
    return f"arn:aws:lambda:{region}:{ACCOUNT_ID}:function:{name}"
