"""Lambda on a laptop: front doors turn HTTP into events; a Runtime API hands events to a real ``adapter run`` process.

Each of these packages imports only from the packages above it:

records        the records of invocations: what the terminal and the inspector show
environment    the state of one execution environment and its invocations
platform_api   the APIs that the processes of an environment call: Runtime, Extensions, Telemetry, Logs
sandbox        the processes of an environment: their variables, output and shutdown
function       the queue of invocations, and the start and end of execution environments
faults         injected faults
recording      invocations recorded as files
requests       code that front doors and Invoke APIs share
access         signatures, key pairs, CORS, the authorizer's context
front_doors    function URL, HTTP API, REST API, ALB, VPC Lattice
invoke_api     Invoke, InvokeWithResponseStream, asynchronous invocations
terminal       the log lines and the banner
inspector      the page that shows all invocations, live
service        the listeners, and the start and stop of the emulator
template       the settings in SAM and CloudFormation templates
commands       the commands ``adapter dev``, ``adapter invoke`` and ``adapter event``
"""
