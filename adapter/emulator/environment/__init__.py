"""The state of one execution environment, without processes."""
