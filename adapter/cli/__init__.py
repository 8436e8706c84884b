"""The command line, and the commands ``check`` and ``health``."""
