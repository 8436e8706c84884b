"""The front doors. Each front door turns HTTP requests into invocations, and their answers into HTTP responses."""
