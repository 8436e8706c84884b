"""Lambda on a laptop: front doors turn HTTP into events, a Runtime API hands them to a real ``adapter run`` process.

front doors   front_door, door_rules, door_response, request_event: HTTP ⇄ event, AWS's limits, the throttle
Invoke APIs   invoke_api, eventstream, async_invocations
entrance      the one way from all of them into the function, where faults strike on purpose
function      the line of calls, and how many environments there are; tenure is the place of one of them in it
sandbox       an environment with its I/O: process and process_tree, api_server, output, shutdown
environment   its state: lifecycle and extensions are the tables
runtime_api   Lambda's Runtime API; extensions_api the Extensions, Telemetry and Logs APIs, telemetry their delivery
reply         how an answer travels back to whoever called
journal       what is said of an environment, report what is written to the terminal
control       the status, for scripts
serve         starts all of it and ends all of it
"""
