"""Runs ``adapter dev`` with all front doors at once, in front of an app that the test serves."""

from __future__ import annotations

import re
import shlex
import sys
import uuid

from tests.hardening.recorder import PROBE
from tests.logging_process import LoggingProcess

DOORS = ("function-url", "http-api", "rest-api", "alb", "alb-multi-value", "lattice", "lattice-v1")
_URL = re.compile(r"http://127\.0\.0\.1:(\d+)/")


class DevProcess(LoggingProcess):
    """``ports`` maps front doors to ports. ``invoke_port`` is that of the Invoke APIs, ``mark`` its own variable."""

    def __init__(self, app_port: int, *flags: str, doors: tuple[str, ...] = DOORS, **environ: str) -> None:
        listening = ["--port", "0", "--front-door", ",".join(doors)]
        app = ["--app-port", str(app_port), "--readiness-path", PROBE]
        # The test serves the app, so the runtime starts none.
        adapter = [sys.executable, "-I", "-m", "adapter"]
        runtime = ["--runtime", shlex.join([*adapter, "run"])]
        self.mark = f"HARDENING_MARK={uuid.uuid4().hex}"
        name, _, value = self.mark.partition("=")
        super().__init__(
            [*adapter, "dev", *listening, *app, *runtime, "--warm", *flags],
            {name: value, **environ},
        )
        try:
            self.wait_for_line("try        curl")
            ports = [int(number) for number in _URL.findall(self.output())]
            self.ports = dict(zip(doors, ports, strict=False))
            self.invoke_port = int(_URL.findall(self.wait_for_line("--endpoint-url"))[0])
        except BaseException:
            self.__exit__(None, None, None)
            raise
