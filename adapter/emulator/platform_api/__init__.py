"""The APIs in an environment that its runtime and its extensions call."""
