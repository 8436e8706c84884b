"""The entry point of the command ``adapter``, in a module whose name no app has for one of its own.

An app may have a module or a package called ``adapter``, in the current folder or on PYTHONPATH, and the interpreter
would find it first. So this module takes such folders off ``sys.path`` before it imports anything from it.
"""

from __future__ import annotations

import os  # the interpreter has imported it
import sys
from os.path import abspath, dirname


def main() -> int:
    """Run the command line of the adapter beside this file, and return its exit code."""
    ours = dirname(abspath(__file__))
    search_only_installed_packages(ours)
    from adapter.__main__ import main as command_line

    return command_line()


def search_only_installed_packages(ours: str) -> None:
    """Remove the script's or the current folder, and the folders of PYTHONPATH, from ``sys.path``.

    If PYTHONPATH names ``ours``, the folder of the adapter, it may name those of the adapter's dependencies as well. So
    all of them stay, and ``ours`` comes first.
    """
    if not sys.flags.safe_path and abspath(sys.path[0]) != ours:
        del sys.path[0]
    if sys.flags.ignore_environment:
        return
    variable = os.environ.get("PYTHONPATH")
    foreign = {abspath(folder) for folder in variable.split(os.pathsep)} if variable else set()
    if ours in foreign:
        sys.path.insert(0, ours)
    elif foreign:
        standard = dirname(abspath(os.__file__))
        sys.path[:] = [folder for folder in sys.path if abspath(folder) not in foreign or folder.startswith(standard)]


if __name__ == "__main__":
    sys.exit(main())
