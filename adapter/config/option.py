"""What an option is. The options themselves are the tables in ``options/``."""

from __future__ import annotations

from adapter.config import parsers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, ClassVar, Generic, TypeVar

    T = TypeVar("T")
else:

    class Generic:
        """Stands in for typing.Generic, whose import takes a third as long as the interpreter's own start."""

        def __class_getitem__(cls, parameters):
            return cls

    T = None


# What stands for the value in --help and the docs, where the parser alone tells.
_METAVARS: dict[object, str] = {
    parsers.boolean: "BOOL",
    parsers.front_doors: "NAME[:PORT]",
    parsers.host: "HOST",
    parsers.host_and_port: "HOST:PORT",
    parsers.listen_address: "[HOST:]PORT",
    parsers.listen_port: "PORT",
    parsers.media_types: "LIST",
    parsers.networks: "LIST",
    parsers.path: "PATH",
    parsers.base_path: "PATH",
    parsers.port: "PORT",
    parsers.count: "COUNT",
    parsers.positive_integer: "COUNT",
    parsers.positive_seconds: "SECONDS",
    parsers.function_timeout: "SECONDS",
    parsers.seconds: "SECONDS",
    parsers.stream_limit: "SIZE",
    parsers.statuses: "LIST",
}


class Option(Generic[T]):
    """One option. As an attribute of ``Config`` it gives the value that is in force.

    ``env`` are its variables, the first that is set counts; ``deprecated`` ones still work, with a warning. ``flag``
    is None where only the platform sets the value. ``default_text`` is what the docs show where ``default`` itself
    would say too little. A ``repeatable`` flag may be given several times, its variable has commas instead.
    """

    name: str
    flag: str | None

    def __init__(
        self,
        description: str,
        *,
        parse: Callable[[str], T],
        default: T,
        env: tuple[str, ...],
        deprecated: tuple[str, ...] = (),
        flag: str | None = "",
        metavar: str = "",
        default_text: str | None = None,
        repeatable: bool = False,
        group: str,
    ) -> None:
        self.description = description
        self.parse = parse
        self.default = default
        self.env = env
        self.deprecated = deprecated
        self.flag = flag
        self.metavar = metavar or _METAVARS.get(parse, "TEXT")
        self.default_text = default_text
        self.repeatable = repeatable
        self.group = group

    @property
    def default_as_text(self) -> str:
        """The default in words for people; a dash where there is none."""
        if self.default_text is not None:
            return self.default_text.replace("`", "")
        if self.default is None or self.default == "":
            return "none"
        if isinstance(self.default, bool):
            return str(self.default).lower()
        return f"{self.default:g}" if isinstance(self.default, float) else str(self.default)

    def __set_name__(self, owner: type[OptionTable], name: str) -> None:
        self.name = name
        if self.flag == "":
            self.flag = "--" + name.replace("_", "-")
        owner.options[name] = self

    def __get__(self, config: OptionTable, owner: type[OptionTable]) -> T:
        value: T = config.values[self.name]
        return value


class OptionTable:
    """A part of the table: each option that is an attribute enters ``options``, which all parts share.

    ``values`` are those in force, by the option's name.
    """

    options: ClassVar[dict[str, Option[Any]]] = {}
    values: dict[str, Any]
