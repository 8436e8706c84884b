"""The settings of a process, read from flags and variables.

Flags, variables, ``--help`` and the tables in the docs are derived from ``Config.options``. An option takes its value
from the first of these that sets it: its flag, its variables in their order, the template of ``adapter dev``. An empty
variable counts as not set. If nothing sets the option, it has its default. All values are parsed before the first
mistake is reported, so that one run shows every mistake. An invalid value is an error; the process does not continue
with the default. This is the only module that reads the environment.

On Lambda this module is imported before the app starts, so it must be fast to import: no regular expressions, no enums.
"""

from __future__ import annotations

import posix  # instead of `os`; app/process.py explains why
import sys

from adapter.config.option import OWN_PREFIX
from adapter.config.options.app import AppOptions, ReadinessOptions, RequestOptions, ResponseOptions
from adapter.config.options.dev import DevOptions
from adapter.config.options.logs import LogOptions
from adapter.config.options.proxy import ProxyOptions, StreamOptions
from adapter.config.options.runtime import PlatformOptions, RuntimeOptions
from adapter.config.parsers import nearest
from adapter.errors import ConfigurationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from adapter.config.option import Option

RUST_ADAPTER_PREFIX = "AWS_LWA_"
# The source of options that a template sets.
TEMPLATE = "--template"

# Variables of the Rust adapter that no longer exist, each with a message about its replacement.
_REMOVED = {
    "AWS_LWA_READINESS_CHECK_MIN_UNHEALTHY_STATUS": (
        "was removed; list the healthy statuses in AWS_LWA_READINESS_CHECK_HEALTHY_STATUS, for example 100-499"
    ),
}


class Config(
    AppOptions,
    ReadinessOptions,
    RequestOptions,
    ResponseOptions,
    RuntimeOptions,
    PlatformOptions,
    LogOptions,
    StreamOptions,
    ProxyOptions,
    DevOptions,
):
    """The settings of one process, read once.

    ``values``, ``sources`` and ``texts`` are keyed by option name. A source is a flag, a variable, ``--template`` or
    ``default``. ``texts`` contains the unparsed values of the options that are set, to pass them to another process.
    ``warnings`` are lines for the log.
    """

    def __init__(
        self, *, values: dict[str, Any], sources: dict[str, str], texts: dict[str, str], warnings: list[str]
    ) -> None:
        self.values = values
        self.sources = sources
        self.texts = texts
        self.warnings = warnings

    @property
    def on_lambda(self) -> bool:
        """Whether invocations come from the Runtime API."""
        return self.way_in == "runtime" or (self.way_in == "auto" and self.runtime_api is not None)

    @property
    def is_in_dev(self) -> bool:
        """Whether ``adapter dev`` has started this process."""
        return self.sends_app_status

    @property
    def reserved_paths(self) -> tuple[str | None, ...]:
        """The paths of the app that no client may request. A path is None if the option for it is not set."""
        guarded = self.pass_through_path if self.guard_pass_through else None
        return self.before_checkpoint_path, self.after_restore_path, guarded


def load(environ: Mapping[str, str], flags: Mapping[str, str] | None = None) -> Config:
    """Return the settings. ``flags`` maps option names to strings. A flag overrides the variables of its option.

    Raises ConfigurationError with all mistakes if there is at least one.
    """
    config, mistakes = read(environ, flags)
    if mistakes:
        raise ConfigurationError(mistakes)
    return config


def read(
    environ: Mapping[str, str],
    flags: Mapping[str, str] | None = None,
    template: Mapping[str, tuple[str, str]] | None = None,
) -> tuple[Config, list[str]]:
    """Return the settings and all mistakes. In the settings, an option with an invalid value has its default.

    ``template`` maps option names to values from a template, each a string and its place in the template. Such a value
    is used if neither a flag nor a variable sets the option.
    """
    flags = flags or {}
    template = template or {}
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    texts: dict[str, str] = {}
    mistakes: list[str] = []
    warnings = list(_unknown_rust_adapter_variables(environ))
    for name, option in Config.options.items():
        source, text = _source(option, environ, flags)
        place = source
        if text is None and name in template:
            source = TEMPLATE
            text, place = template[name]
        values[name] = option.default
        sources[name] = source
        if source in option.deprecated:
            warnings.append(f"{source} is deprecated; use {option.env[0]}")
        if text is not None:
            try:
                values[name] = option.parse(text)
            except ValueError as error:
                mistake = f"{place}: {text!r} {error}"
                repaired = _repair(option, source, text)
                if repaired is None:
                    mistakes.append(mistake)
                else:
                    warnings.append(f"{mistake}; the value is read as {repaired!r}")
                    text, values[name] = repaired, option.parse(repaired)
            texts[name] = text
    config = Config(values=values, sources=sources, texts=texts, warnings=warnings)
    mistakes += _unknown_own_variables(environ)
    mistakes += [f"{name}: {hint}" for name, hint in _REMOVED.items() if name in environ]
    if not mistakes:
        mistakes += _contradictions(config)
    return config, mistakes


def log_format(environ: Mapping[str, str], flags: Mapping[str, str] | None = None) -> str:
    """Return the format of log lines, ``text`` or ``json``. If the set format is invalid, return the default."""
    option = Config.options["log_format"]
    _, text = _source(option, environ, flags or {})
    try:
        return str(option.default if text is None else option.parse(text))
    except ValueError:
        return str(option.default)


def is_on_lambda(environ: Mapping[str, str]) -> bool:
    """Return whether invocations come from the Runtime API. Only the environment decides, not the flags."""
    way_in = environ.get("ADAPTER_AS", "auto").lower()
    return way_in == "runtime" or (way_in != "proxy" and bool(environ.get("AWS_LAMBDA_RUNTIME_API")))


def environment() -> dict[str, str]:
    """Return a copy of this process's environment, but without variables whose name is empty.

    A variable without a name cannot be passed on to another process.
    """
    os = sys.modules.get("os")
    if os is not None:
        return {name: value for name, value in os.environ.items() if name}
    # ``os`` is not imported yet, so no code can have changed a variable, and the result equals os.environ.
    encoding, errors = sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()
    pairs = [(name.decode(encoding, errors), value.decode(encoding, errors)) for name, value in posix.environ.items()]
    return {name: value for name, value in pairs if name}


def _source(option: Option[Any], environ: Mapping[str, str], flags: Mapping[str, str]) -> tuple[str, str | None]:
    """Return the name and the value of the flag or variable that sets ``option``, or else "default" and None."""
    if option.name in flags:
        return str(option.flag), flags[option.name]
    for variable in option.env + option.deprecated:
        # Outside of Lambda, HOST is ignored: shells and container platforms set it to the machine's own name.
        if variable == "HOST" and "AWS_LAMBDA_RUNTIME_API" not in environ:
            continue
        if environ.get(variable):
            return variable, environ[variable]
    return "default", None


def _repair(option: Option[Any], source: str, text: str) -> str | None:
    """Return ``text`` in a form that ``option`` accepts, or None if that is not possible.

    Only values of the Rust adapter's variables are repaired, because the Rust adapter accepts some values that this
    adapter does not.
    """
    is_of_rust_adapter = source.startswith(RUST_ADAPTER_PREFIX) or source in option.deprecated
    if option.parse.repair is None or not is_of_rust_adapter:
        return None
    repaired = option.parse.repair(text)
    try:
        option.parse(repaired)
    except ValueError:
        return None
    return repaired


def _contradictions(config: Config) -> Iterator[str]:
    """Yield a message for each combination of values that is not possible."""
    if config.way_in == "runtime" and config.runtime_api is None:
        yield (
            f"{config.sources['way_in']}: 'runtime' needs AWS_LAMBDA_RUNTIME_API, which Lambda sets; "
            "on this machine, use adapter dev"
        )
    if config.app_socket is not None and config.app_port is not None:
        yield (
            f"{config.sources['app_socket']} and {config.sources['app_port']}: the app is reached over a Unix socket "
            "or a port, not both"
        )


def _unknown_own_variables(environ: Mapping[str, str]) -> Iterator[str]:
    known = _known_variables(OWN_PREFIX)
    for name in sorted(environ):
        if name.startswith(OWN_PREFIX) and name not in known and not _is_service_link(name, environ[name]):
            yield f"{name}: no option has this name{_did_you_mean(name, known)}"


def _is_service_link(name: str, value: str) -> bool:
    """Return True if this is probably a variable that Kubernetes sets for a Service with a name like "adapter-…"."""
    if "_SERVICE_HOST" in name or "_SERVICE_PORT" in name:
        return True
    return (name.endswith("_PORT") and "://" in value) or name.rpartition("_PORT_")[2][:1].isdigit()


def _unknown_rust_adapter_variables(environ: Mapping[str, str]) -> Iterator[str]:
    known = _known_variables(RUST_ADAPTER_PREFIX)
    for name in sorted(environ):
        if name.startswith(RUST_ADAPTER_PREFIX) and name not in known and name not in _REMOVED:
            yield f"{name} is not known and has no effect{_did_you_mean(name, known)}"


def _known_variables(prefix: str) -> frozenset[str]:
    return frozenset(name for option in Config.options.values() for name in option.env if name.startswith(prefix))


def _did_you_mean(name: str, known: frozenset[str]) -> str:
    """Return a hint with the variable in ``known`` that is most similar to ``name``, or "" if none is similar."""
    # The common prefix is not compared, since it would make any two names similar.
    prefix = OWN_PREFIX if name.startswith(OWN_PREFIX) else RUST_ADAPTER_PREFIX
    variables = {variable.removeprefix(prefix): variable for variable in known}
    if prefix == OWN_PREFIX:
        # Users may guess a variable's name from the flag, but the names of some variables differ from the flags.
        for option in Config.options.values():
            if option.flag is not None and option.env[0] in known:
                variables.setdefault(option.flag[2:].upper().replace("-", "_"), option.env[0])
    return nearest(name.removeprefix(prefix), variables, variables)
