"""The payload formats, one in each file, in both directions."""
