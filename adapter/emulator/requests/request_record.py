"""What is known of one request to a front door or an Invoke API, for its line in the log."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class RequestRecord:
    """What is to be said about one invocation. Times are in seconds; None is what did not happen.

    ``status`` and ``sent`` (body bytes) are what the client was sent. ``streamed`` are the body bytes of a streamed
    response, which are billed whether or not the client was there to see them. ``door`` names the front door, empty for
    the Invoke APIs. ``refused``: no invocation came of it. ``broken_off``: the response has begun and was not
    completed, on purpose. ``mismatch`` says how the modes of function and front door differ.
    """

    method: str
    target: str
    status: int = 0
    sent: int = 0
    streamed: int = 0
    first_byte: float | None = None
    duration: float = 0.0
    init: float | None = None
    restore: float | None = None
    held: float = 0.0
    error_type: str = ""
    error_message: str = ""
    client_left: bool = False
    door: str = ""
    request_id: str = ""
    refused: bool = False
    broken_off: bool = False
    mismatch: str = ""
