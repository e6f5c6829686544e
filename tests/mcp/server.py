"""An MCP server made with the official SDK: over pipes (`stdio`), or over HTTP on a free port that it prints (`http`)."""

import socket
import sys

from mcp.server.mcpserver import MCPServer

server = MCPServer("rig", log_level="ERROR")


@server.tool()
def add(a: int, b: int) -> str:
    """Adds two numbers."""
    return str(a + b)


@server.tool()
def fail() -> str:
    raise ValueError("this tool fails")


@server.tool()
def describe(name: str) -> dict:
    return {"name": name, "length": len(name)}


if sys.argv[1] == "stdio":
    server.run("stdio")
else:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    print(port, flush=True)
    server.run("streamable-http", host="127.0.0.1", port=port)
