"""The function: its queue and its execution environments."""
