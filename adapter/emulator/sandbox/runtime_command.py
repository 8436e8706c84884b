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

# ``-I`` keeps the user's folders off sys.path, and ``-S`` keeps ``site`` from being imported, which takes 5 ms and 1 MB
# for each environment. So this code adds the folders that this package and its dependencies are in. (``-m`` would also
# load runpy, which takes a third of the interpreter's own start time.)
_START_AGAIN = (
    "import sys; own, *others = sys.argv.pop(1).split('\\n'); sys.path[:] = [own, *sys.path, *others]; "
    "from adapter.__main__ import main; sys.exit(main())"
)


def own_command(*arguments: str) -> list[str]:
    """Return the command that starts this program with ``arguments``.

    The new process does not import modules from the user's folders.
    """
    package_parent = os.path.dirname(os.path.dirname(os.path.abspath(adapter.__file__)))
    return [sys.executable, "-IS", "-c", _START_AGAIN, "\n".join([package_parent, *_site_folders()]), *arguments]


def _site_folders() -> list[str]:
    """Return the folders that the module ``site`` has added to sys.path, including the folders in ``.pth`` files."""
    site = sys.modules.get("site")
    if site is None:
        # The launcher (deploy/launcher/adapter.c) started this process. All packages are in one folder.
        return []
    standard = site.getsitepackages()
    begin = next((index for index, folder in enumerate(sys.path) if folder in standard), len(sys.path))
    return [folder for folder in sys.path[begin:] if folder != site.USER_SITE]


def runtime_command(config: Config, command: Sequence[str]) -> list[str]:
    """Return the command that starts the runtime: ``--runtime`` if it is set, else ``adapter run -- COMMAND``."""
    if config.runtime is not None:
        return shlex.split(config.runtime)
    return own_command("run", "--", *command)
