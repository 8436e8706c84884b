"""Checks of CMD: whether posix_spawnp(3) will find the program, and whether the app's port is free."""

from __future__ import annotations

import os
from os.path import abspath, basename, exists, isabs, isdir, isfile, join

from adapter.config.ports import PLACEHOLDER
from adapter.net.port_owner import port_owner

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from adapter.net.address import Address, AppAddress

# The time limit of connecting to the app's port, in seconds. The app is on this machine.
_CONNECT_TIMEOUT = 1.0
# The kernel reads at most this many bytes of a script's first line (BINPRM_BUF_SIZE).
_LONGEST_FIRST_LINE = 256
_NOT_EXECUTABLE = "not executable"
# Interpreters, without their version, and the suffixes of their scripts. An argument without such a suffix may be
# something else: `node inspect`, `node server`.
_SCRIPTS = {
    "python": (".py", ".pyz"),
    "node": (".js", ".mjs", ".cjs"),
    "nodejs": (".js", ".mjs", ".cjs"),
    "ruby": (".rb",),
    "php": (".php",),
}
CONVERT_LINES = r"convert them to LF: sed -i 's/\r$//' FILE"


def command_mistakes(
    command: Sequence[str], environ: Mapping[str, str], directory: str | None, *, source: str = "CMD"
) -> Iterator[str]:
    """Yield a message for each reason why ``command`` cannot be started in ``directory`` with ``environ``.

    A message about the command begins with ``source``, the name of the setting that contains the command.
    """
    folder = directory or "."
    if directory is not None and not (isdir(folder) and os.access(folder, os.X_OK)):
        # If the variable has another value, a flag has overridden it.
        option = "ADAPTER_APP_DIR" if environ.get("ADAPTER_APP_DIR") == directory else "--app-dir"
        yield f"{option}: {directory!r} {'cannot be entered: no permission' if isdir(folder) else 'is not a folder'}"
        if command and "/" in command[0]:
            # The program's path may be relative to this folder, so it cannot be checked.
            return
    if not command:
        return
    program = next(filter(_is_executable, _candidates(command[0], environ, folder)), None)
    if program is None:
        reason = _reason(command[0], directory) if "/" in command[0] else "it is not on PATH"
        yield f"{source}: {command[0]!r} is not a program that can be run ({reason}); {_hint(command[0], reason)}"
    elif mistake := _script_mistake(program):
        yield f"{source}: {command[0]!r} cannot be started: {mistake}"
    elif mistake := _argument_mistake(command, directory):
        yield f"{source}: {mistake}"


def _argument_mistake(command: Sequence[str], directory: str | None) -> str | None:
    """Return a message if CMD starts an interpreter whose script does not exist, else None.

    Only the interpreter's first argument is checked. If this is an option, return None.
    """
    name = command[1] if len(command) > 1 else ""
    ends = _SCRIPTS.get(basename(command[0]).rstrip("0123456789."), ())
    if name.startswith("-") or not name.endswith(ends) or exists(join(directory or ".", name)):
        return None
    where, way_out = "", "correct the file's name"
    if not isabs(name):
        where = f" in {abspath(directory or '.')}"
        if directory is not None:
            where, way_out = f"{where} (--app-dir)", "give the file's path relative to this folder"
    return f"{command[0]!r} cannot run {name!r}: the file does not exist{where}; {way_out}"


def _script_mistake(path: str) -> str | None:
    """Return why the kernel cannot start the script ``path``. Return None if it can, or if ``path`` is not a script."""
    try:
        with open(path, "rb") as file:
            line = file.readline(_LONGEST_FIRST_LINE)
    except OSError:
        # A program need not be readable.
        return None
    words = line[2:].split()
    if not line.startswith(b"#!") or not words:
        return None
    if line.endswith(b"\r\n"):
        return f"the script's lines end with CR LF, as on Windows; {CONVERT_LINES}"
    interpreter = os.fsdecode(words[0])
    if interpreter.startswith("/") and not exists(interpreter):
        return (
            f"{interpreter}, the interpreter in the script's first line, does not exist here; name an interpreter that "
            "exists"
        )
    return None


def _hint(name: str, reason: str) -> str:
    if reason.endswith(_NOT_EXECUTABLE):
        return f"make it executable: chmod +x {name} (a zip file made on Windows does not keep this permission)"
    if " " in name:
        return "remove the quotes around the whole command, or use sh -c '…' to run a shell command"
    if "=" in name:
        return "write the app's variables in front of the adapter's own command, or use env: env NAME=VALUE CMD"
    return "give the program's path, or its name if it is on PATH"


def _candidates(name: str, environ: Mapping[str, str], folder: str) -> Iterator[str]:
    """Yield the paths at which the program ``name`` is looked for.

    Relative paths, also those on PATH, start in ``folder``. A ``name`` with a slash is looked for in ``folder``, then
    in the current folder (``start.py`` makes such a path absolute).
    """
    if "/" in name:
        yield join(folder, name)
        yield name
    else:
        for part in os.get_exec_path(dict(environ)):
            yield join(folder, part, name)


def _is_executable(path: str) -> bool:
    return isfile(path) and os.access(path, os.X_OK)


def _reason(name: str, directory: str | None) -> str:
    """Return why ``name`` is not a program. A relative path is tried in ``directory``, then in the current folder."""
    tried = [name] if directory is None or isabs(name) else [join(directory, name), name]
    for path in tried:
        if exists(path):
            at = abspath(path) if len(tried) > 1 else "it"
            return f"{at} is {'a folder' if isdir(path) else _NOT_EXECUTABLE}"
    if len(tried) == 1:
        return "it does not exist"
    return f"it is neither in {abspath(tried[0].removesuffix(name) or '.')} (--app-dir) nor in {abspath('.')}"


def port_mistake(app: AppAddress) -> str | None:
    """Connect to the app's addresses. Return an error message if a process listens there already, else None."""
    for address in (app.current, app.other):
        if address is not None and _has_listener(address):
            taken = f"{address} is taken by {port_owner(address.port) or 'another process'}"
            cause = "so CMD cannot listen there"
            if address is app.other:
                cause = f"which could be mistaken for the app; --app-host {app.current.host} excludes this address"
            return f"{taken}, {cause}; write {PLACEHOLDER} in CMD to give the app a free port"
    return None


def _has_listener(address: Address) -> bool:
    import socket  # an app on a free port does not need it

    try:
        socket.create_connection((address.host, address.port), _CONNECT_TIMEOUT).close()
    except OSError:
        return False
    return True
