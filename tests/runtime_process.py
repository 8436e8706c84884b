"""Starts ``adapter run`` as Lambda does: as a separate process, with only Lambda's variables."""

from __future__ import annotations

import sys
from pathlib import Path
from types import TracebackType

from tests.logging_process import LoggingProcess
from tests.scripted_app import ScriptedApp
from tests.scripted_runtime_api import ScriptedRuntimeApi

APP_PROGRAM = str(Path(__file__).resolve().parent / "scripted_app.py")


def app_command(port: str = "{port}") -> list[str]:
    """Return CMD for a scripted app at ``port``, which may also be the path of a Unix socket."""
    return [sys.executable, APP_PROGRAM, port]


class RuntimeProcess(LoggingProcess):
    """Runs ``adapter run -- command`` with ``api``. If ``app`` is given, it is served instead of a command.

    ``environ`` are further variables.
    """

    def __init__(
        self,
        api: ScriptedRuntimeApi | None,
        *command: str,
        app: ScriptedApp | None = None,
        environ: dict[str, str] | None = None,
        interpreter: tuple[str, ...] = (),
    ) -> None:
        variables = {}
        if api is not None:
            variables["AWS_LAMBDA_RUNTIME_API"] = api.address
        if app is not None and app.port:
            variables["AWS_LWA_PORT"] = str(app.port)
        arguments = [sys.executable, "-I", *interpreter, "-m", "adapter", "run"]
        super().__init__([*arguments, "--", *command] if command else arguments, variables | (environ or {}))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The test is over, so do not wait for the app.
        self.process.kill()
        super().__exit__(kind, error, trace)
