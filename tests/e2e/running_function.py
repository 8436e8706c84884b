"""An example app behind a real ``adapter run`` process, to which a test hands invocations."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.apps import Framework, app_command, app_dir
from tests.runtime_process import RuntimeProcess
from tests.scripted_runtime_api import Call, ScriptedRuntimeApi

BUFFERED, STREAMED = "buffered", "response_stream"
INVOKE_MODES = (BUFFERED, STREAMED)


class RunningFunction:
    """``invoke`` hands an event to the runtime and gives the whole answer."""

    def __init__(self, api: ScriptedRuntimeApi, *, framework: Framework, invoke_mode: str) -> None:
        self.api = api
        self.framework = framework
        self.streams = invoke_mode == STREAMED

    def invoke(self, event: Any) -> Call:
        return self.api.invoke(event).answer()


@contextmanager
def running_function(framework: Framework, invoke_mode: str, **environ: str) -> Iterator[RunningFunction]:
    """Run the example; ``environ`` are further variables of the runtime. Everything is gone when the context ends."""
    variables = {"AWS_LWA_INVOKE_MODE": invoke_mode, "ADAPTER_APP_DIR": str(app_dir(framework)), **environ}
    with (
        ScriptedRuntimeApi() as api,
        RuntimeProcess(api, *app_command(framework), environ=variables) as runtime,
    ):
        yield RunningFunction(api, framework=framework, invoke_mode=invoke_mode)
        # The app is the runtime's to end, with all its workers.
        runtime.terminate()
        runtime.exit_code()
