"""What is known of one request to a front door or an Invoke API, for its line in the log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from adapter.emulator.environment.result import THROTTLED

if TYPE_CHECKING:
    from adapter.emulator.environment.result import Failure


@dataclass(slots=True)
class RequestRecord:
    """One request and its response. Times are in seconds, sizes in bytes; None is what did not happen.

    ``status`` and ``sent`` (bytes of the body) are what the client was sent. ``streamed`` are the body bytes of a
    streamed response, which are billed even if the client has left. ``door`` names the front door; it is empty for the
    Invoke APIs. ``held`` is how long the bandwidth cap delayed the response. ``refused`` is True if there was no
    invocation. ``broken_off`` is True if the response was begun and then ended early on purpose. ``mismatch`` says how
    the invoke modes of the function and the front door differ.
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

    def add_failure(self, failure: Failure) -> None:
        """Add why the invocation failed."""
        self.error_type, self.error_message = failure.error_type, failure.message
        self.refused = failure.error_type == THROTTLED

    def add_truncated_request(self) -> None:
        """Add that the client left before its request was complete, so that there was no invocation."""
        self.error_type = "no invocation, the request broke off"
        self.client_left = True
