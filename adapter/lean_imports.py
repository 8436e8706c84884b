"""Loads httptools and orjson without the modules that they import and a runtime never uses.

httptools wants two names of ``typing`` for annotations. orjson looks up the types that it could write, UUIDs and
dataclasses among them, whose modules import ``platform`` for one word and ``inspect`` for what happens later or never.
Those three would be a quarter of the CPU time of a cold start.

So stand-ins take their places while the two are loaded, and only then. Whatever else is asked of a stand-in, at any
time, comes from the real module, which is loaded by that: a module may be loaded late, but none is missing.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
else:
    ModuleType = type(sys)


class _Annotation:
    """Stands in for what is only written in annotations or inherited from for the type checker."""

    def __class_getitem__(cls, parameters: object) -> type[_Annotation]:
        return cls


def _system() -> str:
    """What ``platform.system()`` gives where there is ``os.uname``."""
    return os.uname().sysname


_STAND_INS: dict[str, dict[str, object]] = {
    "inspect": {},
    "platform": {"system": _system},
    "typing": {"Optional": _Annotation, "Protocol": _Annotation},
}


def load_parsers() -> None:
    """Import httptools and orjson."""
    placed = [_placed(name, known) for name, known in _STAND_INS.items() if name not in sys.modules]
    try:
        import httptools  # noqa: F401  # for its users, who find it loaded
        import orjson  # noqa: F401  # likewise
    finally:
        for stand_in in placed:
            _withdraw(stand_in)


def _placed(name: str, known: dict[str, object]) -> ModuleType:
    """A stand-in for the module ``name``, in its place: it has ``known`` and gets everything else when asked."""
    stand_in = ModuleType(name)

    def of_real_module(attribute: str) -> object:
        # Every import of a name asks whether the module is a package; none of these is.
        if attribute == "__path__":
            raise AttributeError(attribute)
        _withdraw(stand_in)
        return getattr(__import__(name), attribute)

    vars(stand_in).update(known, __getattr__=of_real_module)
    sys.modules[name] = stand_in
    return stand_in


def _withdraw(stand_in: ModuleType) -> None:
    if sys.modules.get(stand_in.__name__) is stand_in:
        del sys.modules[stand_in.__name__]
