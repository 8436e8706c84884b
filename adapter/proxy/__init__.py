"""Plain HTTP in, plain HTTP to the app, the same relay: the sidecar and the container entrypoint."""
