"""The records of invocations. The parts of the emulator write them; the terminal and the inspector show them."""
