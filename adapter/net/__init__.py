"""Network code that all entry points share: addresses, HTTP parsing, the HTTP server."""
