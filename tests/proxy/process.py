"""``adapter run`` as the proxy: a process on a free port, with the flags of a test."""

from __future__ import annotations

import re
import sys

from tests.logging_process import LoggingProcess

_STARTED = re.compile(r"proxy on http://[^:]+:(\d+) ")


class ProxyProcess(LoggingProcess):
    """Runs ``adapter run --listen 127.0.0.1:0 flags… -- command``, until it is ready; ``port`` is where it listens."""

    def __init__(
        self,
        *flags: str,
        app_port: int | None = None,
        command: tuple[str, ...] = (),
        waits: bool = True,
        environ: dict[str, str] | None = None,
    ) -> None:
        arguments = [sys.executable, "-I", "-m", "adapter", "run", "--listen", "127.0.0.1:0", *flags]
        if app_port is not None:
            arguments += ["--app-port", str(app_port)]
        super().__init__([*arguments, "--", *command] if command else arguments, environ or {})
        try:
            self.start_line = self.wait_for_line("proxy on ")
            found = _STARTED.search(self.start_line)
            assert found is not None
            self.port = int(found[1])
            if waits:
                self.wait_for_line("the app is ready")
        except AssertionError:
            self.__exit__(None, None, None)
            raise
