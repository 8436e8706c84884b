"""Lambda events ⇄ HTTP messages. No I/O, no clock, no environment: the result depends on the arguments alone."""
