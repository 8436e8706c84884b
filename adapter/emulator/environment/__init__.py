"""The state of one execution environment and of the invocations in it, without processes or sockets.

``state_tables`` contains the transition tables. ``ApiState`` tracks what the runtime and the extensions report to their
APIs. ``ExecutionEnvironment``, in the package ``function``, is the environment as a whole, with its processes and time
limits.
"""
