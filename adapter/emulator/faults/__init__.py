"""Faults on purpose: which invocation gets which, and streams that something is done to."""
