"""Loads httptools and orjson without the modules that they import and a runtime never uses.

httptools wants two names of ``typing`` for annotations. orjson looks up the types beyond JSON that it could write:
enumerations, UUIDs, dataclasses, dates. Their modules and what those import would be a third of the CPU time of a cold
start, and an event has none of them.

So stand-ins take their places while the two are loaded, and only then. Whatever else is asked of a stand-in, at any
time, comes from the real module, which is loaded by that: a module may be loaded late, but none is missing.

Only orjson is another one for the rest of such a process: it refuses enumerations and UUIDs, writes nothing of
dataclasses with slots, and its JSONDecodeError is a ValueError and not that of ``json``.
"""

from __future__ import annotations

import sys
from _datetime import datetime_CAPI  # type: ignore[import-not-found]  # beneath `datetime`, like all that it has

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
else:
    ModuleType = type(sys)


class _Annotation:
    """Stands in for what is only written in annotations or inherited from for the type checker."""

    def __class_getitem__(cls, parameters: object) -> type[_Annotation]:
        return cls


class _Nothing:
    """Stands in for a type of which there are no instances here. orjson keeps its address, so it lives for ever."""


class _JSONDecodeError(ValueError):
    """What ``orjson.JSONDecodeError`` is derived from, with the words of ``json.JSONDecodeError``."""

    def __init__(self, message: str, document: str, position: int) -> None:
        line = document.count("\n", 0, position) + 1
        column = position - document.rfind("\n", 0, position)
        super().__init__(f"{message}: line {line} column {column} (char {position})")
        self.msg, self.doc, self.pos, self.lineno, self.colno = message, document, position, line, column


_STAND_INS: dict[str, dict[str, object]] = {
    "dataclasses": {"_FIELD": _Nothing},
    "datetime": {"datetime_CAPI": datetime_CAPI},
    "enum": {"EnumMeta": _Nothing},
    "json": {"JSONDecodeError": _JSONDecodeError},
    "typing": {"Optional": _Annotation, "Protocol": _Annotation},
    "uuid": {"UUID": _Nothing},
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
        # Every import of a name asks whether the module is a package. Nobody wants a part of one here.
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
