"""Lambda on a laptop: front doors turn HTTP into events, a Runtime API hands them to a real ``adapter run`` process.

The packages in their order, each using those above it only:

environment    the state of one execution environment and its invocations
platform_api   the APIs that its processes talk to: Runtime, Extensions, Telemetry, Logs
sandbox        its processes, their variables and output, and its shutdown
function       the queue, and how many execution environments there are
faults         faults on purpose
recording      invocations as files
requests       what front doors and Invoke APIs share
front_doors    function URL, HTTP API, REST API, ALB, VPC Lattice
invoke_api     Invoke, InvokeWithResponseStream, asynchronous invocations
terminal       the lines and the banner
service        what listens, and the life of the whole
commands       adapter dev, invoke and event
"""
