"""Converts Lambda events to HTTP messages and back.

No I/O, no clock, no environment: the result depends on the arguments alone.
"""
