"""Lambda on a laptop: front doors turn HTTP into events, a Runtime API hands them to a real ``adapter run`` process.

front_door    HTTP ⇄ event, Lambda's limits and throttle
function      the invocations waiting for their turn, and one environment after the other
environment   one execution environment: lifecycle (its states), runtime_api (its server), process (the child)
reply         how an answer travels back from the Runtime API to the front door
report        what is written to the terminal
serve         starts all of it and ends all of it
"""
