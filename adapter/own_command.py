"""The command that starts this program anew: how the emulator gets a runtime that is a process of its own."""

from __future__ import annotations

import os
import sys

# Starts this package wherever it lies: ``-I`` keeps a user's folders off the path, and so would keep off a tree of ours
# that is not in site-packages. (``-m`` would also load runpy, a third of the interpreter's own start.)
_START_AGAIN = "import sys; sys.path.insert(0, sys.argv.pop(1)); from adapter.__main__ import main; sys.exit(main())"


def own_command(*arguments: str) -> list[str]:
    """The command that starts this program anew with ``arguments``, isolated from the user's folders."""
    package_parent = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    return [sys.executable, "-I", "-c", _START_AGAIN, package_parent, *arguments]
