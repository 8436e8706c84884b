"""What an option is. The options themselves are the tables in ``options/``."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, ClassVar, Generic, TypeVar

    T = TypeVar("T")
    T_co = TypeVar("T_co", covariant=True)
else:

    class Generic:
        """Stands in for typing.Generic, whose import takes a third as long as the interpreter's own start."""

        def __class_getitem__(cls, parameters):
            return cls

    T = T_co = None

# How the variables of options begin, unless AWS or another project has defined them.
OWN_PREFIX = "ADAPTER_"


class Parser(Generic[T_co]):
    """Turns the text of an option into its value. ``metavar`` stands for the text in ``--help`` and the docs."""

    def __init__(self, parse: Callable[[str], T_co], metavar: str) -> None:
        self._parse = parse
        self.metavar = metavar

    def __call__(self, text: str) -> T_co:
        """Return the value. Raises ValueError if the text is not usable."""
        return self._parse(text)


class Option(Generic[T]):
    """One option. As an attribute of ``Config`` it is the value that is in force.

    ``env`` are its variables; the first that is set counts. ``deprecated`` variables still work, with a warning. If
    ``env`` or ``flag`` is not given, it is derived from the name of the attribute. ``default_text`` is the default in
    words, as Markdown, if ``default`` itself does not explain it. A ``repeatable`` flag may be given several times; its
    variable has commas.
    """

    name: str
    group: str
    flag: str | None

    def __init__(
        self,
        description: str,
        *,
        parse: Parser[T],
        default: T,
        env: tuple[str, ...] = (),
        deprecated: tuple[str, ...] = (),
        flag: str | None = "",
        default_text: str = "",
        repeatable: bool = False,
    ) -> None:
        self.description = description
        self.parse = parse
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
        if self.default is None or self.default == "":
            return "none"
        if isinstance(self.default, bool):
            return f"`{self.default}`".lower()
        return f"`{self.default:g}`" if isinstance(self.default, float) else f"`{self.default}`"

    @property
    def default_as_text(self) -> str:
        """The default for terminals, as plain text."""
        return self.default_text.replace("`", "")

    def __set_name__(self, owner: type[OptionTable], name: str) -> None:
        self.name = name
        self.group = owner.group
        if self.flag == "":
            self.flag = "--" + name.replace("_", "-") if owner.has_flags else None
        self.env = self.env or (OWN_PREFIX + name.upper(),)
        owner.options[name] = self

    def __get__(self, config: OptionTable, owner: type[OptionTable]) -> T:
        value: T = config.values[self.name]
        return value


class OptionTable:
    """A group of options, for ``--help`` and the docs. Each attribute enters ``options``, which all groups share.

    ``has_flags`` is false if only the platform sets the options. ``values`` are the values in force, by the option's
    name.
    """

    group: ClassVar[str]
    has_flags: ClassVar[bool] = True
    options: ClassVar[dict[str, Option[Any]]] = {}
    values: dict[str, Any]
