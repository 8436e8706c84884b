"""The front doors: HTTP in, an invocation, HTTP out."""
