"""Lambda's Invoke APIs, the queue of asynchronous invocations, and the event-stream format of streamed answers."""
