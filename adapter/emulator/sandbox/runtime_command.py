"""The command that starts the runtime: this program as another process, or the command in ``--runtime``."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import adapter

if TYPE_CHECKING:
    from adapter.config.load import Config

# ``-I`` keeps the user's folders off sys.path. If this package is not in site-packages, as in a checkout, ``-I`` keeps
# its folder off as well, so this code adds that folder. (``-m`` would also load runpy, which takes a third of the
# interpreter's own start time.)
_START_AGAIN = "import sys; sys.path.insert(0, sys.argv.pop(1)); from adapter.__main__ import main; sys.exit(main())"


def own_command(*arguments: str) -> list[str]:
    """Return the command that starts this program with ``arguments``.

    The new process does not import modules from the user's folders.
    """
    package_parent = os.path.dirname(os.path.dirname(os.path.abspath(adapter.__file__)))
    return [sys.executable, "-I", "-c", _START_AGAIN, package_parent, *arguments]


def runtime_command(config: Config, command: Sequence[str]) -> list[str]:
    """Return the command that starts the runtime: ``--runtime`` if it is set, else ``adapter run -- command``."""
    if config.runtime is not None:
        return shlex.split(config.runtime)
    return own_command("run", "--", *command)
