"""Recordings: writing invocations to files, and reading them."""
