"""The user's program: its command, its process, and whether it is ready."""
