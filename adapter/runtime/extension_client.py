"""The client of Lambda's Extensions API (2020-01-01), with only the calls that a runtime needs."""

from __future__ import annotations

from adapter.errors import InvocationError, RuntimeApiError
from adapter.runtime.api_client import ANSWER_LIMIT
from adapter.runtime.connection import Connection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from adapter.net.address import Address

_EXTENSION = "/2020-01-01/extension"


def register_extension(address: Address, name: str) -> Connection:
    """Register this process as the extension ``name``, so that Lambda sends SIGTERM before it ends the environment.

    Register for no events, but request ``/event/next``: Lambda's init lasts until every extension has requested it.
    Return the connection with this request. The connection must stay open, but the response is never read. Raises
    RuntimeApiError if the connection fails or Lambda refuses the registration.
    """
    try:
        connection = Connection(address)
        try:
            return _register(connection, address, name)
        except Exception:
            connection.close()
            raise
    except (OSError, InvocationError) as error:
        raise RuntimeApiError(f"extension {name!r} could not register: {error}") from error


def _register(connection: Connection, address: Address, name: str) -> Connection:
    host = f"Host: {address.host_header}\r\n"
    body = b'{"events":[]}'
    register = (
        f"POST {_EXTENSION}/register HTTP/1.1\r\n{host}Lambda-Extension-Name: {name}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    connection.send((register.encode(), body))
    response = connection.receive_response("POST")
    answer = response.read(ANSWER_LIMIT) or b""
    headers = {name.lower(): value for name, value in response.head.headers}
    identifier = headers.get("lambda-extension-identifier")
    if response.head.status != 200 or identifier is None:
        raise RuntimeApiError(f"extension {name!r} was refused: status {response.head.status}: {answer[:200]!r}")
    if not response.has_reusable_connection:
        connection.close()
        connection = Connection(address)
    next_event = f"GET {_EXTENSION}/event/next HTTP/1.1\r\n{host}Lambda-Extension-Identifier: {identifier}\r\n\r\n"
    connection.send((next_event.encode(),))
    return connection
