"""The settings of the local function and its environments, made from the options. Conflicting options are refused."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from adapter.aws.identity import DEFAULT_REGION, function_arn
from adapter.aws.limits import FUNCTION_TIMEOUT_LIMIT
from adapter.config.options.dev import DEFAULT_ENVIRONMENTS, DEFAULT_MEMORY, DEFAULT_TIMEOUT
from adapter.config.parsers import ANY_PORT, FOLLOWED_PORT
from adapter.config.ports import has_placeholder
from adapter.errors import ConfigurationError
from adapter.numbers import LONGEST_WAIT

if TYPE_CHECKING:
    from adapter.config.load import Config

# The function's name, unless the user sets one.
FUNCTION_NAME = "local"
HANDLER = "adapter"

ON_DEMAND = "on-demand"
PROVISIONED = "provisioned-concurrency"
SNAPSTART = "snap-start"
MANAGED_INSTANCES = "lambda-managed-instances"

# The time limit of the init phase, in seconds (Lambda, "Init phase").
INIT_LIMIT = 10.0
# The time limit of an init that does not delay an invocation, in seconds: for provisioned concurrency, SnapStart and
# Managed Instances (Lambda, "Init phase": 130 s or the function's timeout, whichever is longer).
UNHURRIED_INIT_LIMIT = 130.0
# The time limit of a restore, including its hooks, in seconds (Lambda, "SnapStart runtime hooks").
RESTORE_LIMIT = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionSettings:
    """The settings of the function. Times are in seconds, ``memory`` is in MB.

    ``environments`` is the maximum number of environments. ``provisioned`` is the number of environments that start
    with the function and are never reclaimed. The others are reclaimed after ``idle_reclaim`` seconds without an
    invocation, or never if ``idle_reclaim`` is None.
    ``only_one_because`` says why only one environment is possible. It is empty if more are possible.
    """

    name: str = FUNCTION_NAME
    timeout: float = DEFAULT_TIMEOUT
    region: str = DEFAULT_REGION
    memory: int = DEFAULT_MEMORY
    environments: int = DEFAULT_ENVIRONMENTS
    max_concurrency: int = 1
    provisioned: int = 0
    idle_reclaim: float | None = None
    freeze: bool = False
    snapstart: bool = False
    queue: bool = True
    init_limit: float = INIT_LIMIT
    restore_limit: float = RESTORE_LIMIT
    only_one_because: str = ""

    @property
    def arn(self) -> str:
        """The function's ARN."""
        return function_arn(self.region, self.name)

    def initialization_type(self, *, provisioned: bool) -> str:
        """Return the value of AWS_LAMBDA_INITIALIZATION_TYPE for an environment."""
        if self.max_concurrency > 1:
            return MANAGED_INSTANCES
        if self.snapstart:
            return SNAPSTART
        return PROVISIONED if provisioned else ON_DEMAND

    def init_limit_for(self, initialization_type: str) -> float:
        """Return the time limit of init for an environment of this initialization type, in seconds."""
        if initialization_type == ON_DEMAND:
            return self.init_limit
        return max(UNHURRIED_INIT_LIMIT, self.timeout)


def function_settings(config: Config, command: list[str]) -> FunctionSettings:
    """Return the settings for an app started with ``command``. Raises ConfigurationError if options conflict."""
    mistakes = list(_contradictions(config, command))
    if mistakes:
        raise ConfigurationError(mistakes)
    reason = _only_one_because(config, command)
    return FunctionSettings(
        name=config.dev_function_name or FUNCTION_NAME,
        timeout=LONGEST_WAIT if config.debug else config.timeout,
        init_limit=LONGEST_WAIT if config.debug else INIT_LIMIT,
        restore_limit=LONGEST_WAIT if config.debug else RESTORE_LIMIT,
        region=config.region,
        memory=config.memory,
        environments=1 if reason else config.environments,
        max_concurrency=config.concurrency,
        provisioned=config.provisioned,
        idle_reclaim=config.idle_reclaim,
        freeze=config.freeze,
        snapstart=config.snapstart,
        queue=config.queue,
        only_one_because=reason,
    )


def _only_one_because(config: Config, command: list[str]) -> str:
    """Return why two environments would conflict on one machine, or an empty string if they would not."""
    if config.debug:
        return "--debug can debug only one app on this terminal"
    if config.runtime is not None:
        return ""
    if config.app_socket is not None:
        return "all environments would use the same Unix socket"
    if has_placeholder(command) and config.app_port in (None, ANY_PORT, FOLLOWED_PORT):
        return ""
    if config.app_port == ANY_PORT:
        return ""
    if config.app_port == FOLLOWED_PORT:
        source = config.sources["app_port"]
        return f"{source} is 'auto' and CMD has no {{port}}, so all environments might use the same port"
    if config.app_port is not None:
        return f"{config.sources['app_port']} makes all environments use the same port"
    return (
        "CMD has no {port}, so all environments would use the same port; with --app-port 0, each environment gets its "
        "own port in the variable PORT"
    )


def _contradictions(config: Config, command: list[str]) -> Iterator[str]:
    def name(option: str) -> str:
        source = config.sources[option]
        return str(config.options[option].flag) if source == "default" else source

    reason = _only_one_because(config, command)
    given = config.sources["environments"] != "default"
    most = 1 if reason and not given else config.environments
    if reason and given and config.environments > 1:
        yield f"{name('environments')}: '{config.environments}' is not possible: {reason}"
    if config.provisioned > most:
        why = reason or f"{name('environments')} allows {most}"
        yield f"{name('provisioned')}: '{config.provisioned}' is not possible: {why}"
    if config.timeout > FUNCTION_TIMEOUT_LIMIT and config.concurrency == 1:
        yield (
            f"{name('timeout')}: '{config.timeout:g}' is not possible: Lambda allows {FUNCTION_TIMEOUT_LIMIT:g} s "
            "at most, except on Managed Instances (--max-concurrency turns them on)"
        )
    if config.freeze and config.concurrency > 1:
        pair = f"{name('freeze')} and {name('concurrency')}"
        yield (
            f"{pair}: a concurrency above 1 means Managed Instances, which are never frozen; "
            "remove one of the two options"
        )
    if config.freeze and sys.platform != "linux":
        yield f"{name('freeze')}: is possible only on Linux; elsewhere the emulator cannot find all processes"
    if config.snapstart and config.provisioned:
        yield f"{name('snapstart')} and {name('provisioned')}: Lambda cannot combine these options; remove one of them"
    if config.snapstart and config.concurrency > 1:
        yield f"{name('snapstart')} and {name('concurrency')}: Lambda cannot combine these options; remove one of them"
    if config.runtime is not None and command:
        yield f"{name('runtime')} and CMD: only one of them can receive the invocations; remove the other"
    if config.runtime is not None and not _words(config.runtime):
        yield f"{name('runtime')}: {config.runtime!r} is not a command; quote it as in a shell"


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:
        return []
