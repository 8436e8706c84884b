"""The messages that stages hand to each other: an invocation, an HTTP request, an HTTP response head.

Plain slotted classes whose attributes are ``Final``: the type checker holds what a frozen dataclass would hold at run
time, at a third of the cost per message, and ``dataclasses`` adds 0.8 ms of start-up for each class it builds.

Header names and values are ``str``. On the wire they are UTF-8, and bytes that are not UTF-8 are read as Latin-1.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final


class Invocation:
    """One invocation as the Runtime API hands it out: the raw event and what Lambda says about it.

    ``event`` is the payload's bytes, unparsed: an event that is passed through goes on as it came, since no JSON parser
    keeps all of it. ``deadline_ms`` is in milliseconds since the epoch. Texts that Lambda omits are empty.
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

    ``target`` is the origin form, percent-encoded as the client sent it: ``/a%2Fb?x=1``. ``headers`` keeps order and
    repeats. ``body`` is the decoded bytes.
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
    """The status and headers of an HTTP response; ``headers`` keeps order and repeats."""

    __slots__ = ("headers", "status")

    def __init__(self, *, status: int, headers: list[tuple[str, str]]) -> None:
        self.status: Final = status
        self.headers: Final = headers

    def __repr__(self) -> str:
        return f"ResponseHead({self.status}, {len(self.headers)} headers)"


class Arrival:
    """What a front door knows about a request beyond the request itself, and writes into the event.

    ``time_ms`` is in milliseconds since the epoch. The rest are the names that AWS uses in ``requestContext``.
    """

    __slots__ = ("account_id", "api_id", "domain_name", "request_id", "source_ip", "stage", "time_ms")

    def __init__(
        self,
        *,
        request_id: str,
        time_ms: int,
        source_ip: str = "127.0.0.1",
        domain_name: str = "localhost",
        account_id: str = "123456789012",
        api_id: str = "local",
        stage: str = "$default",
    ) -> None:
        self.request_id: Final = request_id
        self.time_ms: Final = time_ms
        self.source_ip: Final = source_ip
        self.domain_name: Final = domain_name
        self.account_id: Final = account_id
        self.api_id: Final = api_id
        self.stage: Final = stage
