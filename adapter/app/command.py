"""Whether CMD can be started: looked for as posix_spawnp(3) will, before it is tried or to say why it failed."""

from __future__ import annotations

import os
import socket
from os.path import exists, isdir, isfile, join

from adapter.config.ports import PLACEHOLDER
from adapter.net.address import Address
from adapter.net.port_owner import port_owner

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


def program_mistakes(
    command: Sequence[str], environ: Mapping[str, str], directory: str | None, *, named: str = "CMD"
) -> Iterator[str]:
    """What keeps ``command`` from being started in ``directory`` with these variables, a line for each cause.

    ``named`` is what the user knows the command as.
    """
    folder = directory or "."
    if directory is not None and not (isdir(folder) and os.access(folder, os.X_OK)):
        # The setting that it is from: a flag counts before its variable.
        source = "ADAPTER_APP_DIR" if environ.get("ADAPTER_APP_DIR") == directory else "--app-dir"
        yield f"{source}: {directory!r} {'may not be entered' if isdir(folder) else 'is not a folder'}"
        if command and "/" in command[0]:
            # It would be looked for in there.
            return
    if command and not any(map(_can_run, _candidates(command[0], environ, folder))):
        why = _why_not(join(folder, command[0])) if "/" in command[0] else "it is not on PATH"
        yield f"{named}: {command[0]!r} is no program that can be run ({why}); {_hint(command[0])}"


def _hint(name: str) -> str:
    if " " in name:
        return "give the words of a command apart, without quotes around all of them, or sh -c '…' for a shell's"
    if "=" in name:
        return "variables for the app go before the adapter, or behind env: env NAME=VALUE CMD"
    return "give a name on PATH or a path"


def _candidates(name: str, environ: Mapping[str, str], folder: str) -> Iterator[str]:
    """Where the system looks for ``name``: a path is relative to the folder, and so are relative parts of PATH."""
    if "/" in name:
        yield join(folder, name)
    else:
        for part in os.get_exec_path(dict(environ)):
            yield join(folder, part, name)


def _can_run(path: str) -> bool:
    return isfile(path) and os.access(path, os.X_OK)


def _why_not(path: str) -> str:
    if isdir(path):
        return "it is a folder"
    return "it is not executable" if exists(path) else "nothing is there"


# How long connecting to who may listen there is tried, in seconds; it is on this machine.
_PATIENCE = 1.0


def app_port_mistake(host: str, port: int) -> str | None:
    """Why an app that is yet to be started cannot listen there: somebody does, and would be taken for it."""
    try:
        socket.create_connection((host, port), _PATIENCE).close()
    except OSError:
        return None
    taken = f"{Address(host=host, port=port)}: is taken by {port_owner(port) or 'another process'}"
    return f"{taken}, so CMD cannot listen there; {PLACEHOLDER} in CMD is a free port"
