"""The running emulator: its start and end, its ports, its control API and ``--reload``."""
