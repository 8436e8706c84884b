"""``adapter completion``: the script for a shell, and the functions that return the completions.

For each completion, the shell runs the adapter again. In this run, click calls the functions of this module to get the
completions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem, get_completion_class

from adapter.errors import EXIT_OK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from click import Context, Parameter

# The shells that can complete, each with the line that sets it up, and the file for this line.
_SHELLS = {
    "bash": ('eval "$(adapter completion bash)"', "~/.bashrc"),
    "zsh": ('eval "$(adapter completion zsh)"', "~/.zshrc"),
    "fish": ("adapter completion fish | source", "~/.config/fish/config.fish"),
}
#: The lines and files of _SHELLS, as help and errors show them.
SET_UP = "\n".join(f"{line:38} {file}" for line, file in _SHELLS.values())
# The variable with which the shell asks for completions.
_VARIABLE = "_ADAPTER_COMPLETE"


def run(cli: click.Group, shell: str | None) -> int:
    """Write the script for ``shell`` to stdout, and return 0. Raises UsageError if the shell is not in _SHELLS."""
    if shell not in _SHELLS:
        mistake = "is missing" if shell is None else f"{shell!r} is not supported"
        lines = SET_UP.replace("\n", "\n  ")
        hint = "To set up a shell, add the line on the left to the file on the right:"
        raise click.UsageError(f"SHELL: {mistake}; use one of {', '.join(_SHELLS)}. {hint}\n\n  {lines}")
    found = get_completion_class(shell)
    assert found is not None, "click must know all shells in _SHELLS"
    click.echo(found(cli, {}, "adapter", _VARIABLE).source())
    return EXIT_OK


def choices_of(metavar: str) -> list[str]:
    """Return the words that ``metavar`` offers as values: ``text|json`` has two, ``BURST+RATE`` has none."""
    words = metavar.partition("[")[0].split("|")
    return [word for word in words if word == word.lower()]


def complete_value(metavar: str) -> Callable[[Context, Parameter, str], list[CompletionItem]]:
    """Return a function that completes the value of an option: one of its choices, a file or a folder."""

    def complete(ctx: Context, parameter: Parameter, incomplete: str) -> list[CompletionItem]:
        if metavar == "DIR":
            return [CompletionItem(incomplete, type="dir")]
        if "FILE" in metavar or metavar == "PATH":
            return [CompletionItem(incomplete, type="file")]
        if metavar.startswith("KIND["):
            from adapter.emulator.faults.plan import Kind

            return _matching([kind.value for kind in Kind], incomplete)
        return _matching(choices_of(metavar), incomplete)

    return complete


def complete_file(ctx: Context, parameter: Parameter, incomplete: str) -> list[CompletionItem]:
    """Let the shell complete the name of a file."""
    return [CompletionItem(incomplete, type="file")]


def complete_kind(ctx: Context, parameter: Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the kinds of events that begin with ``incomplete``."""
    from adapter.emulator.commands.event import KINDS

    return _matching(KINDS, incomplete)


def complete_error(ctx: Context, parameter: Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the names of errors that begin with ``incomplete``."""
    from adapter.cli.error_names import ERROR_GROUPS

    return _matching([name for names in ERROR_GROUPS.values() for name in names], incomplete)


def complete_shell(ctx: Context, parameter: Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the names of shells that begin with ``incomplete``."""
    return _matching(_SHELLS, incomplete)


def complete_command(ctx: Context, parameter: Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the names of commands that begin with ``incomplete``."""
    root = ctx.find_root().command
    return _matching(root.commands if isinstance(root, click.Group) else (), incomplete)


def _matching(words: Iterable[str], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(word) for word in words if word.startswith(incomplete)]
