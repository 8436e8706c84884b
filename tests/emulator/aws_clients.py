"""AWS's SDK for Python as a client of the local Lambda. Its calls block, so tests make them in threads."""

from __future__ import annotations

from typing import Any

import boto3
from botocore.config import Config


def lambda_client(port: int, **settings: Any) -> Any:
    """Return boto3's Lambda client for the Invoke APIs on ``port``, without retries and with made-up keys."""
    return boto3.client(
        "lambda",
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name="eu-central-1",
        aws_access_key_id="AKIAEXAMPLE",
        aws_secret_access_key="example",
        config=Config(retries={"total_max_attempts": 1}, read_timeout=30, **settings),
    )
