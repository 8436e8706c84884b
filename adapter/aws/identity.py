"""The account and region in which the local AWS pretends to be: part of ARNs and events."""

from __future__ import annotations

ACCOUNT_ID = "123456789012"
DEFAULT_REGION = "us-east-1"
