"""The custom runtime: blocking sockets and straight-line code, with nothing slow in its import graph."""
