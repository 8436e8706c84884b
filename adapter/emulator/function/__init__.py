"""The local Lambda function: its queue and its execution environments."""
