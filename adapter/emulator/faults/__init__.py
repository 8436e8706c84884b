"""Fault injection (``--fault``): the plan of faults, and their injection into invocations."""
