"""One payload format in each file, in both directions."""
