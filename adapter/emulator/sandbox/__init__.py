"""The processes, the API servers and the logs of one execution environment."""
