"""The APIs that a runtime and extensions talk to."""
