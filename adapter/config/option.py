"""The classes for options and for tables of options. The options are declared in ``options/``."""

from __future__ import annotations

from adapter.config.parsers import Generic, Parser, T, boolean, positive_integer, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, ClassVar

# The prefix of all variables except those that AWS or another project has defined.
OWN_PREFIX = "ADAPTER_"


# The parsers of options that are declared without a parser, by the type of the default.
_PARSERS: dict[type, Parser[Any]] = {bool: boolean, int: positive_integer, str: text("TEXT")}


class Option(Generic[T]):
    """One option. It is an attribute of ``Config``; reading this attribute returns the option's value.

    If ``parse`` is not given, the type of the default selects the parser: a boolean, a whole number of at least 1, or
    any string. ``env`` are the option's environment variables; the first variable that is set is used. ``deprecated``
    variables still work, with a warning. If ``env`` or ``flag`` is not given, the name of the variable or the flag is
    derived from the attribute. If ``flag`` is None, the option has no flag. ``default_text`` describes the default as
    Markdown, if the default value alone is not clear. A ``repeatable`` flag can be given several times; in the variable
    of such an option, commas separate the values.
    """

    name: str
    group: str
    flag: str | None

    def __init__(
        self,
        description: str,
        *,
        default: T,
        parse: Parser[T] | None = None,
        env: tuple[str, ...] = (),
        deprecated: tuple[str, ...] = (),
        flag: str | None = "",
        default_text: str = "",
        repeatable: bool = False,
    ) -> None:
        self.description = description
        self.parse: Parser[T] = parse or _PARSERS[type(default)]
        self.default = default
        self.env = env
        self.deprecated = deprecated
        self.flag = flag
        self.repeatable = repeatable
        self._default_text = default_text

    @property
    def default_text(self) -> str:
        """The default for the docs, as Markdown; ``none`` if there is no default."""
        if self._default_text:
            return self._default_text
        if self.default in (None, "", (), frozenset()):
            return "none"
        if isinstance(self.default, bool):
            return f"`{self.default}`".lower()
        return f"`{self.default:g}`" if isinstance(self.default, float) else f"`{self.default}`"

    @property
    def default_as_text(self) -> str:
        """The default as plain text, to be shown in a terminal."""
        return self.default_text.replace("`", "")

    def __set_name__(self, owner: type[OptionTable], name: str) -> None:
        self.name = name
        self.group = owner.group
        if self.flag == "":
            self.flag = "--" + name.replace("_", "-") if owner.has_flags else None
        self.env = self.env or (owner.prefix + name.upper(),)
        owner.options[name] = self

    def __get__(self, config: OptionTable, owner: type[OptionTable]) -> T:
        value: T = config.values[self.name]
        return value


class OptionTable:
    """A group of options, for ``--help`` and the docs. Each option is added to ``options``, which all groups share.

    If the name of a variable is derived from an attribute, the name begins with ``prefix``. ``has_flags`` is False if
    the group's options have no flags, because only a platform sets them. Each instance has its own ``values``, a dict
    from option names to values.
    """

    group: ClassVar[str]
    prefix: ClassVar[str] = OWN_PREFIX
    has_flags: ClassVar[bool] = True
    options: ClassVar[dict[str, Option[Any]]] = {}
    values: dict[str, Any]


def optional(
    description: str,
    *,
    parse: Parser[T | None],
    env: tuple[str, ...] = (),
    deprecated: tuple[str, ...] = (),
    flag: str | None = "",
    default_text: str = "",
) -> Option[T | None]:
    """Return an option with the default None. In the docs, ``default_text`` describes what None means."""
    return Option(
        description, default=None, parse=parse, env=env, deprecated=deprecated, flag=flag, default_text=default_text
    )
