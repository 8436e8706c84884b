"""An MCP server with the official SDK: one tool. Its variables are what the docs say to set behind a front door."""

from __future__ import annotations

import os

from mcp.server import MCPServer
from mcp.server.transport_security import TransportSecuritySettings


def add(a: int, b: int) -> int:
    return a + b


server = MCPServer("adder")
server.add_tool(add)
hosts = os.environ.get("ALLOWED_HOST")
app = server.streamable_http_app(
    stateless_http=os.environ.get("STATELESS") == "true",
    transport_security=TransportSecuritySettings(allowed_hosts=[hosts]) if hosts else None,
)
