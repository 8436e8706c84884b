"""What adapter dev writes to the terminal."""
