"""The entry point. ``adapter run`` on Lambda and ``adapter health`` start without the command line's imports."""

from __future__ import annotations

import gc
import sys


def main() -> int:
    """Run the command of this process's arguments, and return its exit code."""
    # What is loaded at the start stays. Searching it for garbage repeatedly would take a tenth of the start.
    gc.disable()
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

    gc.enable()
    return command_line(arguments)


def _command_of_run(arguments: list[str]) -> list[str] | None:
    """Return CMD if the arguments are ``run``, ``run CMD`` or ``run -- CMD``; None for flags or another command."""
    if arguments[:1] != ["run"]:
        return None
    command = arguments[1:]
    if command[:1] == ["--"]:
        return command[1:]
    return None if command and command[0].startswith("-") else command


if __name__ == "__main__":
    sys.exit(main())
