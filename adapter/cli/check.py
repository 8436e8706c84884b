"""``adapter check`` shows what ``adapter run`` would do here with the same flags, variables and CMD.

It also shows the problems that prevent the start, and starts nothing itself. The exit code is 2 for a mistake in the
settings, as in ``adapter run``. It is 1 for a temporary problem: a port is taken, or an app is not ready.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from time import sleep
from typing import TYPE_CHECKING

from adapter.app.command import command_mistakes, port_mistake
from adapter.app.readiness import ReadinessCheck
from adapter.config.load import Config, read
from adapter.config.ports import (
    PLACEHOLDER,
    app_address,
    bypass_warnings,
    has_any_port,
    placeholder_warnings,
    resolve_app_port,
    resolve_listen,
)
from adapter.errors import EXIT_FAILURE, EXIT_OK, EXIT_USAGE, AppNotReady, ConfigurationError
from adapter.logs import visible
from adapter.net.address import Address, AppAddress, listen
from adapter.net.port_owner import listen_problem
from adapter.runtime.app_client import wait_until_ready
from adapter.runtime.connection import connect

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

# The time that an app which already listens has to become ready, in seconds.
PROBE_SECONDS = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A row of the report: an option, its value as text, and the flag or variable that set it."""

    name: str
    group: str
    label: str
    value: str
    source: str


class Report:
    """The findings. ``summary`` states what ``adapter run`` would do; it is None if mistakes prevent the start.

    ``mistakes`` are invalid settings, ``problems`` are temporary, ``warnings`` do not prevent the start. ``app`` is a
    sentence about the state of the app. It is None if this state is unknown, or one of the ``problems``.
    """

    def __init__(self, config: Config, *, settings: list[Setting], mistakes: list[str]) -> None:
        self.settings = settings
        self.mistakes = mistakes
        self.warnings = config.warnings
        self.problems: list[str] = []
        self.summary: str | None = None
        self.app: str | None = None
        self.is_json = config.log_format == "json"

    @property
    def exit_code(self) -> int:
        """The exit code of ``adapter check``: 2 for mistakes, 1 for problems, else 0."""
        if self.mistakes:
            return EXIT_USAGE
        return EXIT_FAILURE if self.problems else EXIT_OK

    @property
    def verdict(self) -> str:
        """The meaning of the exit code in one sentence."""
        if self.mistakes:
            return f"{_count(self.mistakes, 'mistake')}: adapter run would refuse to start."
        if self.problems:
            return f"{_count(self.problems, 'problem')} at the moment, so adapter run would not serve the app."
        return "No mistakes: adapter run can start."

    def as_json(self) -> str:
        """Return the report as a JSON object."""
        return json.dumps(
            {
                "verdict": self.verdict,
                "summary": self.summary,
                "settings": {row.name: {"value": row.value, "from": row.source} for row in self.settings},
                "app": self.app,
                "mistakes": self.mistakes,
                "problems": self.problems,
                "warnings": self.warnings,
            }
        )

    def as_text(self, headings: Mapping[str, str], *, with_defaults: bool = False) -> str:
        """Return the report as text: options that are set, defaults, findings, and the verdict.

        ``headings`` are the titles of the option groups. Without ``with_defaults``, defaults are counted, not shown.
        """
        lines = [self.summary] if self.summary else []
        is_set = [row for row in self.settings if row.source != "default"]
        if is_set:
            lines += ["", "Set", *self._rows(is_set)]
        defaults = [row for row in self.settings if row.source == "default"]
        if with_defaults:
            for group, heading in headings.items():
                rows = [row for row in defaults if row.group == group]
                lines += ["", f"{heading}, defaults", *self._rows(rows)] if rows else []
        else:
            lines += ["", f"{_count(defaults, 'setting')} at the default (--all shows them)"]
        found = {"Mistakes": self.mistakes, "Problems": self.problems, "Warnings": self.warnings}
        for heading, texts in found.items():
            if texts:
                lines += ["", heading, *(f"  {text}" for text in texts)]
        if self.app:
            lines += ["", self.app]
        lines += ["", self.verdict]
        # Settings and answers of the app may contain characters that would control a terminal.
        return "\n".join(visible(line) for line in lines).lstrip("\n")

    def _rows(self, rows: list[Setting]) -> Iterator[str]:
        label = max(len(row.label) for row in self.settings)
        value = max(len(row.value) for row in self.settings)
        return (f"  {row.label:{label}}  {row.value:{value}}  {row.source}" for row in rows)


def _count(things: Sequence[object], name: str) -> str:
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"


def examine(
    environ: Mapping[str, str], flags: Mapping[str, str], command: list[str], groups: tuple[str, ...]
) -> Report:
    """Return the report about ``adapter run`` with these flags and CMD. ``groups`` are the option groups to show."""
    config, mistakes = read(environ, flags)
    mistakes = [*mistakes, *command_mistakes(command, environ, config.app_dir)]
    derived: dict[str, tuple[str, str]] = {}
    config.warnings.extend(placeholder_warnings(command))
    config.warnings.extend(bypass_warnings(config, command))
    report = Report(config, settings=[], mistakes=mistakes)
    if not mistakes:
        try:
            derived = _inspect(report, config, command)
        except ConfigurationError as error:
            report.mistakes += error.mistakes
    report.settings += _settings(config, groups, derived)
    return report


def _inspect(report: Report, config: Config, command: list[str]) -> dict[str, tuple[str, str]]:
    """Add the findings about this machine to ``report``. Return the options whose values depend on other settings.

    The returned dict maps an option's name to its value and to the source of the value. Raises ConfigurationError if
    the settings of the ports contradict each other.
    """
    port, _ = resolve_app_port(config, command)
    is_any_port = has_any_port(config, command)
    app = app_address(config, port, config.app_socket)
    app_text = "a free port" if is_any_port and config.app_socket is None else str(app.current)
    derived = {"app_port": _derived_app_port(config, port, is_any_port=is_any_port)}
    if config.on_lambda:
        mode = config.invoke_mode or "buffered"
        relayed = f"invocations from {config.runtime_api}"
    else:
        mode = config.invoke_mode or "response_stream"
        listen = resolve_listen(config, port)
        source = "PORT" if config.listen is None and listen.port == config.container_port else config.sources["listen"]
        derived["listen"] = (str(listen), source)
        derived["stream_limit"] = (config.texts.get("stream_limit", "none"), config.sources["stream_limit"])
        relayed = f"plain HTTP from {listen}"
        report.problems += _taken_ports(config, listen)
    report.summary = f"adapter run would relay {relayed} to the app on {app_text} ({mode})."
    derived["invoke_mode"] = (mode, config.sources["invoke_mode"])
    if not is_any_port:
        _inspect_app(report, config, app, has_command=bool(command))
    return derived


def _derived_app_port(config: Config, port: int, *, is_any_port: bool) -> tuple[str, str]:
    if config.app_socket is not None:
        return "none", config.sources["app_socket"]
    if is_any_port:
        is_set = config.app_port is not None
        return "any free port", config.sources["app_port"] if is_set else f"{PLACEHOLDER} in CMD"
    if config.app_port is None and config.container_port is not None:
        return str(port), "PORT"
    return str(port), config.sources["app_port"]


def _taken_ports(config: Config, address: Address) -> Iterator[str]:
    """Try to listen on the proxy's addresses. Yield a line for each address at which that fails."""
    addresses = {"listen": address}
    if config.admin is not None:
        addresses["admin"] = config.admin
    for name, wanted in addresses.items():
        flag = Config.options[name].flag
        try:
            listen(wanted.host, wanted.port).close()
        except OSError as error:
            yield f"{flag}: {wanted} {listen_problem(error, wanted.port)}; give another address"


def _inspect_app(report: Report, config: Config, app: AppAddress, *, has_command: bool) -> None:
    try:
        app.connect(lambda address: connect(address, PROBE_SECONDS)).close()
    except OSError:
        report.app = f"Nothing listens on {app} yet{'; CMD must listen there' if has_command else ''}."
        return
    if has_command:
        problem = None if app.current.path is not None else port_mistake(app)
        report.problems.append(problem or f"{app} is taken by another process, so CMD cannot listen there")
        return
    check = ReadinessCheck(config, app.current.port, has_command=has_command)
    warnings: list[str] = []
    try:
        wait_until_ready(check, PROBE_SECONDS, pause=sleep, warn=warnings.append)
    except AppNotReady as error:
        # The error repeats the warnings.
        report.problems.append(str(error))
    else:
        report.warnings += warnings
        report.app = f"The app on {app.current} is ready."


def _settings(config: Config, groups: tuple[str, ...], derived: Mapping[str, tuple[str, str]]) -> Iterator[Setting]:
    for name, option in Config.options.items():
        source = config.sources[name]
        # Options of the platform are shown only if the platform has set them.
        if option.group in groups or (option.group == "platform" and source != "default"):
            value, source = derived.get(name, (config.texts.get(name, option.default_as_text), source))
            yield Setting(name=name, group=option.group, label=option.flag or option.env[0], value=value, source=source)
