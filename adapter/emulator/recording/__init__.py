"""Invocations as files: writing them, and reading them again."""
