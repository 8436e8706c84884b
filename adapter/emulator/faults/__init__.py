"""Faults on purpose: which invocation gets which, and what they do to its answer."""
