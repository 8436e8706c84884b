"""Malformed events: one clear error each, not one byte of them at the app, and the next good event is served."""

from __future__ import annotations

from collections import Counter

from tests.hardening import figures
from tests.hardening.events import EITHER, ERROR, FORMATS, REQUEST, good, malformed_events
from tests.hardening.recorder import PROBE, Recorder
from tests.runtime_process import RuntimeProcess
from tests.scripted_runtime_api import Call, ScriptedRuntimeApi

COUNT = 10_000
SEED = 6
# The number of malformed events before each good one, which must be served.
GOOD_EVERY = 100
# A message is one line that a log can show.
MESSAGE_LIMIT = 300


def test_each_malformed_event_gets_one_clear_error_and_reaches_no_app() -> None:
    events = list(malformed_events(COUNT, SEED))
    with Recorder() as app, ScriptedRuntimeApi() as api:
        environ = {
            "AWS_LWA_PORT": str(app.port),
            "AWS_LWA_READINESS_CHECK_PATH": PROBE,
            "AWS_LAMBDA_LOG_LEVEL": "fatal",
        }
        with RuntimeProcess(api, environ=environ) as runtime:
            for number, (_, raw) in enumerate(events):
                api.invoke(raw, request_id=f"malformed-{number}")
                if number % GOOD_EVERY == 0:
                    api.invoke(good(FORMATS[number // GOOD_EVERY % len(FORMATS)], f"/good/{number}"))
                    # Each wait is bounded, and to look through thousands of calls for one of them takes long.
                    api.wait_until_empty()
            api.invoke(good("http-api", "/good/last"), request_id="the-last-one").answer()
            assert runtime.process.poll() is None
        terminal = [call for call in api.calls if call.method == "POST" and "/invocation/" in call.path]
    ends = Counter(invocation_of(call) for call in terminal)
    errors = {invocation_of(call): call for call in terminal if call.path.endswith("/error")}
    assert set(ends.values()) == {1}, "an invocation has exactly one end"
    assert len(ends) == COUNT + COUNT // GOOD_EVERY + 1
    assert app.violations == []
    for number, (verdict, raw) in enumerate(events):
        seen = ERROR if f"malformed-{number}" in errors else REQUEST
        assert verdict in (seen, EITHER), f"{seen}, not {verdict}: {raw[:500]!r}"
    for call in errors.values():
        check_error(call)
    served = [each.target.partition("?")[0] for each in app.requests if each.target.startswith("/good/")]
    assert served == [f"/good/{number}" for number in range(0, COUNT, GOOD_EVERY)] + ["/good/last"]
    # Whatever was not an error was a request, and nothing else was one.
    assert len(app.requests) == len(ends) - len(errors)
    assert "evil" not in str([each.pairs for each in app.requests])
    figure = f"{COUNT:,} of {COUNT:,}: {len(errors):,} errors, {COUNT - len(errors):,} legitimate requests"
    figures.show("malformed events", figure)


def invocation_of(call: Call) -> str:
    return call.path.split("/")[4]


def check_error(call: Call) -> None:
    """One line that names the cause, under the names that errors have."""
    error = call.json()
    assert call.headers["lambda-runtime-function-error-type"] == "Runtime.InvalidEvent"
    assert error["errorType"] == "Adapter.InvalidEvent"
    message = error["errorMessage"]
    assert 10 < len(message) <= MESSAGE_LIMIT, message
    assert message.isprintable(), message
