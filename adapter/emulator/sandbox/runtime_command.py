"""The command that starts the runtime: this program as another process, or the program that ``--runtime`` names."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import adapter

if TYPE_CHECKING:
    from adapter.config.load import Config

# Starts this package from its folder, wherever that is: ``-I`` keeps the user's folders off the path, and with them a
# checkout of ours that is not in site-packages. (``-m`` would also load runpy, a third of the interpreter's own start.)
_START_AGAIN = "import sys; sys.path.insert(0, sys.argv.pop(1)); from adapter.__main__ import main; sys.exit(main())"


def own_command(*arguments: str) -> list[str]:
    """Return the command that starts this program with ``arguments``, isolated from the user's folders."""
    package_parent = os.path.dirname(os.path.dirname(os.path.abspath(adapter.__file__)))
    return [sys.executable, "-I", "-c", _START_AGAIN, package_parent, *arguments]


def runtime_command(config: Config, command: Sequence[str]) -> list[str]:
    """Return the command of the runtime: the adapter with the app that ``command`` starts, or ``--runtime``."""
    if config.runtime is not None:
        return shlex.split(config.runtime)
    return own_command("run", "--", *command)
