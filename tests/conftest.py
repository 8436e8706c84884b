"""Hypothesis runs the same examples everywhere, so that a failure is a change in the code, never chance."""

from hypothesis import settings

settings.register_profile("deterministic", derandomize=True, database=None, deadline=None, max_examples=200)
settings.load_profile("deterministic")
