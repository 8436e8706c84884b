"""The APIs that the runtime and the extensions of an environment call."""
