"""What front doors and Invoke APIs share."""
