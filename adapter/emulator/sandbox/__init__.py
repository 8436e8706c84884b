"""One execution environment with its processes and API servers."""
