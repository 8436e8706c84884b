"""A worker for messages of SQS, which Lambda delivers in batches. Only the messages that fail are delivered again."""

from __future__ import annotations

import json
from typing import Any

from fastapi import FastAPI, HTTPException, Request

app = FastAPI()


@app.get("/")
async def root() -> dict[str, str]:
    return {"worker": "is ready"}


# The adapter POSTs every event that is not an HTTP request to this path.
@app.post("/events")
async def events(request: Request) -> dict[str, list[dict[str, str]]]:
    # A client of a front door could send the same body, but never this header.
    if request.headers.get("x-amzn-lambda-event") != "pass-through":
        raise HTTPException(403, "not an event of Lambda")
    failed = [record["messageId"] for record in (await request.json())["Records"] if not handled(record)]
    # The event source mapping must have ReportBatchItemFailures.
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def handled(record: dict[str, Any]) -> bool:
    """Return whether the message is done; False lets SQS deliver it again."""
    try:
        order = json.loads(record["body"])
        return int(order["amount"]) > 0
    except (ValueError, KeyError, TypeError):
        return False
