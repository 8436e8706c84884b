"""The records of invocations: one bounded model, written by the parts of the emulator and read by its outputs."""
