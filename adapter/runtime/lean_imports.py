"""Imports httptools, orjson and compiled modules, but not the slow modules that these import without need.

httptools imports ``typing`` for two names in annotations, and a parser for URLs. orjson imports the modules of further
types that it can encode: enumerations, UUIDs, dataclasses, dates. Importing these modules would take a third of the CPU
time of a cold start, and an event contains none of these types.

Compiled modules need one name from ``importlib.machinery``. Importing that module would also import ``warnings``.

So stand-ins replace these modules while httptools and orjson are imported. Each stand-in has only the needed
attributes. If code reads another attribute, the real module is imported and its attribute is returned.

In a process that uses these stand-ins, orjson behaves differently: it refuses enumerations and UUIDs, and does not
encode the fields of dataclasses with slots. Its JSONDecodeError is a ValueError, but not a json.JSONDecodeError.
"""

from __future__ import annotations

import _frozen_importlib
import sys
from _datetime import datetime_CAPI  # type: ignore[import-not-found]  # the module beneath `datetime`

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
else:
    ModuleType = type(sys)


class _Annotation:
    """Stands in for a name that the code needs only in annotations, or as a base class that only type checkers need."""

    def __class_getitem__(cls, parameters: object) -> type[_Annotation]:
        return cls


class _NoType:
    """Stands in for a type that orjson compares values with, such as UUID. This class has no instances.

    orjson keeps the address of this class, so the class must never be freed.
    """


class _JSONDecodeError(ValueError):
    """The base of ``orjson.JSONDecodeError``, with the attributes and the message of ``json.JSONDecodeError``."""

    def __init__(self, message: str, document: str, position: int) -> None:
        line = document.count("\n", 0, position) + 1
        column = position - document.rfind("\n", 0, position)
        super().__init__(f"{message}: line {line} column {column} (char {position})")
        self.msg, self.doc, self.pos, self.lineno, self.colno = message, document, position, line, column


_STAND_INS: dict[str, dict[str, object]] = {
    "dataclasses": {"_FIELD": _NoType},
    "datetime": {"datetime_CAPI": datetime_CAPI},
    "enum": {"EnumMeta": _NoType},
    "httptools.parser.url_parser": {"parse_url": None},
    "json": {"JSONDecodeError": _JSONDecodeError},
    "typing": {"Optional": _Annotation, "Protocol": _Annotation},
    "uuid": {"UUID": _NoType},
}


class WithoutImportlib:
    """A context manager for imports of compiled modules: within it, they do not import ``importlib``.

    Import only compiled modules within it.
    """

    def __enter__(self) -> None:
        # `importlib` itself gives the frozen module this name.
        sys.modules.setdefault("importlib._bootstrap", _frozen_importlib)
        is_loaded = "importlib.machinery" in sys.modules
        known: dict[str, object] = {"ModuleSpec": _frozen_importlib.ModuleSpec}
        self._stand_in = None if is_loaded else _place("importlib.machinery", known)

    def __exit__(self, *failure: object) -> None:
        if self._stand_in is not None:
            _remove(self._stand_in)


def load_parsers() -> None:
    """Import httptools and orjson."""
    placed = [_place(name, known) for name, known in _STAND_INS.items() if name not in sys.modules]
    try:
        import httptools  # noqa: F401  # imported for other modules
        import orjson  # noqa: F401  # imported for other modules
    finally:
        for stand_in in placed:
            _remove(stand_in)


def _place(name: str, known: dict[str, object]) -> ModuleType:
    """Replace the module ``name`` by a stand-in with the attributes ``known``, and return the stand-in."""
    stand_in = ModuleType(name)

    def get_from_real_module(attribute: str) -> object:
        # Each ``from module import name`` reads __path__, to check whether the module is a package.
        if attribute == "__path__":
            raise AttributeError(attribute)
        _remove(stand_in)
        __import__(name)
        return getattr(sys.modules[name], attribute)

    vars(stand_in).update(known, __getattr__=get_from_real_module)
    sys.modules[name] = stand_in
    return stand_in


def _remove(stand_in: ModuleType) -> None:
    if sys.modules.get(stand_in.__name__) is stand_in:
        del sys.modules[stand_in.__name__]
