"""The custom runtime. It uses blocking sockets, and imports only modules that load fast."""
