"""The messages that the parts of the program exchange: an invocation, an HTTP request, an HTTP response head.

They are plain slotted classes with ``Final`` attributes, which the type checker protects. Frozen dataclasses would cost
three times as much per message, and 0.8 ms per class at the start.

Header names and values are ``str``, decoded as UTF-8. For JSON, a value that is not UTF-8 is decoded as Latin-1. The
proxy forwards every byte unchanged, so it decodes bytes that are not UTF-8 as lone surrogates (``net/http1.py``).
"""

from __future__ import annotations

from time import gmtime

from adapter.aws.identity import ACCOUNT_ID, DEFAULT_REGION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Invocation:
    """An invocation as the Runtime API delivers it: the event and Lambda's metadata.

    ``event`` is the unparsed payload: an event that is passed through must not change, and no JSON parser preserves
    every byte. ``deadline_ms`` is in milliseconds since the epoch. Metadata that Lambda omits is an empty string.
    """

    __slots__ = (
        "client_context",
        "cognito_identity",
        "deadline_ms",
        "event",
        "invoked_function_arn",
        "request_id",
        "tenant_id",
        "trace_id",
    )

    def __init__(
        self,
        *,
        request_id: str,
        event: bytes | bytearray,
        deadline_ms: int = 0,
        trace_id: str = "",
        invoked_function_arn: str = "",
        client_context: str = "",
        cognito_identity: str = "",
        tenant_id: str = "",
    ) -> None:
        self.request_id: Final = request_id
        self.event: Final = event
        self.deadline_ms: Final = deadline_ms
        self.trace_id: Final = trace_id
        self.invoked_function_arn: Final = invoked_function_arn
        self.client_context: Final = client_context
        self.cognito_identity: Final = cognito_identity
        self.tenant_id: Final = tenant_id


class Request:
    """An HTTP request with its whole body.

    ``target`` is the origin form, percent-encoded as the client sent it: ``/a%2Fb?x=1``. ``headers`` keep their order
    and repeats. ``body`` is decoded, never base64.
    """

    __slots__ = ("body", "headers", "method", "target")

    def __init__(
        self, *, method: str, target: str, headers: list[tuple[str, str]], body: bytes | bytearray = b""
    ) -> None:
        self.method: Final = method
        self.target: Final = target
        self.headers: Final = headers
        self.body: Final = body

    def __repr__(self) -> str:
        return f"Request({self.method} {self.target}, {len(self.headers)} headers, {len(self.body)} body bytes)"


class ResponseHead:
    """The status and headers of an HTTP response. ``headers`` keep their order and repeats.

    ``reason`` is the reason phrase that the app sent, perhaps empty; None stands for the standard phrase.
    """

    __slots__ = ("headers", "reason", "status")

    def __init__(self, *, status: int, headers: list[tuple[str, str]], reason: str | None = None) -> None:
        self.status: Final = status
        self.headers: Final = headers
        self.reason: Final = reason

    def __repr__(self) -> str:
        return f"ResponseHead({self.status}, {len(self.headers)} headers)"


class Arrival:
    """The data that a front door adds to an event, in addition to the request.

    ``time_ms`` is in milliseconds since the epoch. The other attributes are named after AWS's ``requestContext``.
    """

    __slots__ = ("account_id", "api_id", "domain_name", "region", "request_id", "source_ip", "stage", "time_ms")

    def __init__(
        self,
        *,
        request_id: str,
        time_ms: int,
        source_ip: str = "127.0.0.1",
        domain_name: str = "localhost",
        account_id: str = ACCOUNT_ID,
        region: str = DEFAULT_REGION,
        api_id: str = "local",
        stage: str = "$default",
    ) -> None:
        self.request_id: Final = request_id
        self.time_ms: Final = time_ms
        self.source_ip: Final = source_ip
        self.domain_name: Final = domain_name
        self.account_id: Final = account_id
        self.region: Final = region
        self.api_id: Final = api_id
        self.stage: Final = stage

    @property
    def log_time(self) -> str:
        """The time in the common log format, as in ``requestContext``: ``12/Mar/2020:19:03:58 +0000``."""
        at = gmtime(self.time_ms // 1000)
        date = f"{at.tm_mday:02}/{MONTHS[at.tm_mon - 1]}/{at.tm_year}"
        return f"{date}:{at.tm_hour:02}:{at.tm_min:02}:{at.tm_sec:02} +0000"

    def arn(self, service: str, resource: str) -> str:
        """Return the ARN of ``resource`` in ``account_id`` and ``region``."""
        return f"arn:aws:{service}:{self.region}:{self.account_id}:{resource}"
