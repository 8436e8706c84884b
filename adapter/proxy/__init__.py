"""The proxy: an HTTP server in front of the app, as a sidecar or as the entrypoint of a container."""
