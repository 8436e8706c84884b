"""Lambda events ⇄ HTTP messages. No I/O, no clock, no environment: what goes in decides what comes out."""
