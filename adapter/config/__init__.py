"""The settings: options, parsers, and the source of each value."""
