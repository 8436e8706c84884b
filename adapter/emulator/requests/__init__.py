"""Requests of clients, and the pipeline for their invocations; used by front doors and Invoke APIs."""
