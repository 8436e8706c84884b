"""The account, the region and the ARN that a local function has."""

from __future__ import annotations

# The account id of AWS's own examples ("AWS account identifiers"), since a local function has no account.
ACCOUNT_ID = "123456789012"
# The only version of a function that was not published (Lambda, "Versions").
FUNCTION_VERSION = "$LATEST"
DEFAULT_REGION = "us-east-1"


def function_arn(region: str, name: str) -> str:
    """Return the ARN of the function ``name`` without a version (IAM, "Resources for Lambda")."""
    return f"arn:aws:lambda:{region}:{ACCOUNT_ID}:function:{name}"
