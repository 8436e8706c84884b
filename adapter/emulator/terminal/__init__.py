"""The output of ``adapter dev`` in the terminal."""
