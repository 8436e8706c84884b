"""The settings: options, parsers, and where each value comes from."""
