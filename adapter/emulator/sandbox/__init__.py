"""What one execution environment runs in: its processes, its API servers and its logs."""
