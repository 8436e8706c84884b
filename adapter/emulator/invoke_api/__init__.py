"""Lambda's Invoke APIs, the queue of asynchronous invocations, and the framing of their streams."""
