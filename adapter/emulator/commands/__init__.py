"""The commands ``adapter dev``, ``adapter invoke`` and ``adapter event``."""
