"""What a proxy must refuse of a request head although llhttp lets it through."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapter.payload.headers import excerpt

if TYPE_CHECKING:
    from adapter.net.server.exchange import Exchange


class RefusedHead(Exception):
    """A request that is not answered by whoever serves: ``status`` says why not."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def check_head(exchange: Exchange) -> str:
    """The header line that frames the body, empty where there is none.

    Raises RefusedHead for what llhttp lets through and a proxy must not (RFC 9112, sections 3.2 and 6.1).
    """
    hosts = 0
    framing = ""
    for name, value in exchange.headers:
        lower = name.lower()
        if lower == "host":
            hosts += 1
        elif lower == "transfer-encoding":
            if value.lower() != "chunked" or exchange.version == "1.0":
                raise RefusedHead(
                    400, f"Transfer-Encoding {excerpt(value)}: only chunked is understood, and in HTTP/1.1"
                )
            framing = "transfer-encoding: chunked"
        elif lower == "content-length" and value.strip("0"):
            framing = f"content-length: {value}"
        elif lower == "expect":
            if value.lower() != "100-continue":
                raise RefusedHead(417, f"Expect {excerpt(value)}: only 100-continue is understood")
            exchange.expect_continue()
    if "#" in exchange.target:
        raise RefusedHead(400, "a request target has no fragment")
    if hosts > 1 or (hosts == 0 and exchange.version == "1.1"):
        raise RefusedHead(400, f"{hosts} Host headers, one is expected")
    if exchange.version not in ("1.0", "1.1"):
        raise RefusedHead(505, f"HTTP/{exchange.version} is not spoken here, HTTP/1.1 is")
    return framing
