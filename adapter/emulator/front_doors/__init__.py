"""The front doors. Each turns an HTTP request into an invocation, and its answer into an HTTP response."""
