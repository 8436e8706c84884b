"""The state of one execution environment and of the invocations in it, without processes or sockets.

``states`` has the tables. ``ApiState`` is what the runtime and the extensions do, as they report it to their APIs. The
environment as a whole, with its processes and time limits, is ``ExecutionEnvironment`` in ``function``.
"""
