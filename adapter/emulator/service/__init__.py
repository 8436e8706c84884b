"""The running emulator: what it listens with, its start and its end."""
