"""Starts the adapter in its bundle, as the program that ``adapter.c`` makes the interpreter run.

``site`` is not imported (-S), to start faster. ``os`` is not imported either, because this would take a millisecond.
"""

import marshal
import sys
from _frozen_importlib import ModuleSpec
from _imp import _fix_co_filename
from posix import O_RDONLY, close, environ, fstat, open, read  # built-in open() imports `io`

# The prefix of the names of variables that adapter.c has hidden from the interpreter.
MARK = b"\x01"


def main():
    """Run the command that the arguments name, and return its exit code."""
    libraries = __file__.rpartition("/")[0]
    restore_variables()
    # After the standard library, so that no module of it is looked for in this folder.
    sys.path.append(libraries)
    import_from_pack(libraries)

    from adapter.__main__ import main as command_line

    return command_line()


def restore_variables():
    """Restore the hidden variables for the app. Call this before the environment is read."""
    environ.pop(b"LC_ALL", None)
    for name in [name for name in environ if name.startswith(MARK)]:
        environ[name.removeprefix(MARK)] = environ.pop(name)


class PackedModules:
    """Imports the modules that ``deploy/pack-start-modules`` has written to one file of the folder ``libraries``."""

    def __init__(self, libraries, modules):
        self.libraries = libraries
        self.modules = modules

    def find_spec(self, name, path=None, target=None):
        """Return the spec of a packed module, else None."""
        if name not in self.modules:
            return None
        is_package, file, _ = self.modules[name]
        spec = ModuleSpec(name, self, origin=f"{self.libraries}/{file}", is_package=is_package)
        spec.has_location = True
        if is_package:
            spec.submodule_search_locations.append(spec.origin.rpartition("/")[0])
        return spec

    def create_module(self, spec):
        """Return None: the import system creates the module."""

    def exec_module(self, module):
        """Run the code of ``module``. Tracebacks show the file's present path."""
        spec = module.__spec__
        code = marshal.loads(self.modules.pop(spec.name)[2])
        _fix_co_filename(code, spec.origin)
        exec(code, module.__dict__)


def import_from_pack(libraries):
    """Let modules be imported from the pack, if there is one. Without it, each is imported from its own file."""
    try:
        descriptor = open(f"{libraries}/start-modules", O_RDONLY)
    except OSError:
        return
    modules = marshal.loads(read(descriptor, fstat(descriptor).st_size))
    close(descriptor)
    sys.meta_path.insert(0, PackedModules(libraries, modules))


if __name__ == "__main__":
    sys.exit(main())
