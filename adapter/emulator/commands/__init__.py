"""The commands dev, invoke and event."""
