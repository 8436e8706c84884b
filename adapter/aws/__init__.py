"""AWS's limits, the local account and region, and sizes as text."""
