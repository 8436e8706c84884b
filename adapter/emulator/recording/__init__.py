"""Writes invocations to files (recordings), and reads these files."""
