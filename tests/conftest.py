"""Makes Hypothesis run the same examples everywhere, so that each failure is caused by a change in the code."""

from hypothesis import settings

settings.register_profile("deterministic", derandomize=True, database=None, deadline=None, max_examples=200)
settings.load_profile("deterministic")
