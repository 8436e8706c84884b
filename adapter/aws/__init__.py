"""AWS's limits, and sizes as text."""
