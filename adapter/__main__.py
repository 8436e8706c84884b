"""The entry point. ``adapter run`` on Lambda and ``adapter health`` start fast, since they do not import click."""

from __future__ import annotations

import gc
import posix  # instead of `os`; app/process.py explains why
import sys

_STDERR = 2


def main() -> int:
    """Run the command that the arguments of this process specify, and return the exit code."""
    # Modules loaded at the start are never freed. Searching them for garbage would take a tenth of the start time.
    gc.disable()
    _open_standard_streams()
    arguments = sys.argv[1:]
    if arguments == ["health"]:
        from adapter.cli.health import run as run_health

        return run_health()
    command = _command_of_run(arguments)
    if command is not None:
        from adapter.config.load import environment, is_on_lambda

        if is_on_lambda(environment()):
            from adapter.start import run

            return run(command)
    from adapter.cli.command_line import main as command_line
    from adapter.cli.streams import guard_streams

    gc.enable()
    guard_streams()
    return command_line(arguments)


def _command_of_run(arguments: list[str]) -> list[str] | None:
    """Return CMD if the arguments are ``run``, ``run CMD`` or ``run -- CMD``. Return None for any other arguments."""
    if arguments[:1] != ["run"]:
        return None
    command = arguments[1:]
    if command[:1] == ["--"]:
        return command[1:]
    return None if command and command[0].startswith("-") else command


def _open_standard_streams() -> None:
    """Open /dev/null for each standard stream that is closed. Otherwise a socket could get descriptor 0, 1 or 2."""
    while (descriptor := _open_null()) <= _STDERR:
        posix.set_inheritable(descriptor, True)
    posix.close(descriptor)


def _open_null() -> int:
    try:
        return posix.open("/dev/null", posix.O_RDWR)
    except FileNotFoundError:
        # The file system has no /dev. Open a folder instead, because it can be neither read nor written.
        return posix.open("/", posix.O_RDONLY)


if __name__ == "__main__":
    sys.exit(main())
