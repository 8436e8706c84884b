"""The command line: its commands, and those of them that need neither runtime, proxy nor emulator."""
