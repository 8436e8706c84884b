"""What every way in needs of the network."""
