"""Commands whose flags come from the option table: help, parsing, and errors."""

from __future__ import annotations

import shlex
import shutil

import click

from adapter.cli.completion import complete_file, complete_value
from adapter.config import parsers
from adapter.config.load import Config

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from adapter.config.option import Option

# The groups of the option table in the order of the help, with their headings.
GROUPS = {
    "app": "The app",
    "readiness": "Readiness",
    "requests": "Requests",
    "responses": "Responses",
    "lambda": "On Lambda",
    "streams": "The cap on streams",
    "proxy": "The proxy",
    "dev": "The local Lambda",
    "logs": "Logs",
}

# The name and the description of CMD in the help.
_CMD = "-- CMD"
_CMD_HELP = "The command that starts the app, with the app's own options; {port} stands for a free port."
# The key in the context's ``meta`` that is set for --help-all.
_WITH_ALL = "adapter.help_all"
# The maximum length of a metavar in the short help, in characters. NAME replaces a longer one.
_SHORT = 24
# Programs that start apps. They are recognized even if they are missing from PATH.
_SERVERS = frozenset(
    {"bun", "deno", "fastapi", "flask", "gunicorn", "hypercorn", "node", "npm", "npx", "python", "python3", "uvicorn"}
)
# Flags of some commands, and the flags of others that set the same.
_COUNTERPARTS = {"--port": "--listen", "--listen": "--port"}
# Names that people try, and the commands that they mean.
_MEANT = {
    "serve": "adapter run, or adapter dev for Lambda on this machine",
    "start": "adapter run, or adapter dev for Lambda on this machine",
    "proxy": "adapter run",
    "local": "adapter dev",
    "lambda": "adapter dev",
    "errors": "adapter error",
    "events": "adapter event",
}


class PlainCommand(click.Command):
    """A command whose error for an unknown flag names a similar flag, or the command that has the flag."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            known = [flag for parameter in self.params for flag in parameter.opts]
            raise click.UsageError(_no_such_option(error.option_name, known, ctx), ctx) from error


class Commands(PlainCommand, click.Group):
    """The group of all commands. The error for an unknown command names the command that was probably meant."""

    command_class = PlainCommand

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in self.commands and not args[0].startswith("-"):
            raise click.UsageError(self.no_such_command(*args), ctx)
        return super().resolve_command(ctx, args)

    def no_such_command(self, name: str, *arguments: str) -> str:
        """Return the error message for the unknown command ``name``.

        If ``name`` is a program, the message shows how to run this program as the app. Otherwise the message names a
        similar command, or all commands if none is similar.
        """
        text = f"No such command {name!r}"
        if name in _MEANT:
            return f"{text}; did you mean {_MEANT[name]}?"
        if "/" in name or name in _SERVERS or shutil.which(name) is not None:
            return f"{text}; to run {name!r} as the app: adapter dev -- {shlex.join((name, *arguments))}"
        return text + (parsers.nearest(name, self.commands) or f"; the commands are {', '.join(sorted(self.commands))}")


def help_of(command: click.Command, name: str, ctx: click.Context, *, with_all: bool = False) -> str:
    """Return the help text of ``command``, called ``name``. If ``with_all`` is True, the text shows all options."""
    root = ctx.find_root()
    inner = click.Context(command, info_name=name, parent=root, **root.command.context_settings)
    inner.meta[_WITH_ALL] = with_all
    return command.get_help(inner)


def _show_all(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        ctx.meta[_WITH_ALL] = True
        texts = [ctx.get_help()]
        if isinstance(ctx.command, Commands):
            texts += [help_of(command, name, ctx, with_all=True) for name, command in ctx.command.commands.items()]
        click.echo("\n\n".join(texts))
        ctx.exit()


def help_all_option() -> click.Option:
    """Return the flag ``--help-all``."""
    return click.Option(
        ["--help-all"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_show_all,
        help="Show every option, by topic.",
    )


class GroupedCommand(click.Command):
    """A command with many flags. ``--help`` shows the options named in ``first``; ``--help-all`` shows all, by group.

    All flags must precede CMD. An error about unknown flags lists every unknown flag.
    """

    allow_interspersed_args = False

    def __init__(self, *arguments: Any, first: tuple[str, ...] = (), **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.first = first
        self.params.append(help_all_option())

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        given = list(args)
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            unknown = [_no_such_option(flag, self._flags(ctx), ctx) for flag in self._unknown(ctx, given)]
            raise click.UsageError("\n       ".join(unknown) or error.format_message(), ctx) from error

    def _flags(self, ctx: click.Context) -> dict[str, click.Option]:
        options = [parameter for parameter in self.get_params(ctx) if isinstance(parameter, click.Option)]
        return {flag: option for option in options for flag in (*option.opts, *option.secondary_opts)}

    def _unknown(self, ctx: click.Context, arguments: list[str]) -> Iterator[str]:
        """Yield each unknown flag that precedes CMD. A word after an unknown flag counts as the flag's value."""
        flags = self._flags(ctx)
        words = iter(arguments)
        was_unknown = False
        for word in words:
            flag, equals, _ = word.partition("=")
            if word == "--" or (not word.startswith("-") and not was_unknown):
                return
            was_unknown = word.startswith("-") and flag not in flags
            if was_unknown:
                yield flag
                was_unknown = not equals
            elif flag in flags and not flags[flag].is_flag and not equals:
                next(words, None)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("The command"):
            formatter.write_dl([(_CMD, _CMD_HELP)])
        if not ctx.meta.get(_WITH_ALL):
            own = [each for each in self.params if each.name not in (*Config.options, "command", "help_all")]
            records = [record for each in own if (record := each.get_help_record(ctx)) is not None]
            with formatter.section("Options"):
                formatter.write_dl([*records, *(_short_record(Config.options[name]) for name in self.first)])
            formatter.write_paragraph()
            formatter.write_text(f"All options, by topic: {ctx.command_path} --help-all")
            return
        sections: dict[str, list[tuple[str, str]]] = {heading: [] for heading in GROUPS.values()}
        sections["Other"] = []
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and parameter.param_type_name == "option":
                option = Config.options.get(str(parameter.name))
                sections["Other" if option is None else GROUPS[option.group]].append(record)
        for heading, records in sections.items():
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)


def _short_record(option: Option[Any]) -> tuple[str, str]:
    """Return the option's row in the short help: the flag, and the description's first clause with the default."""
    metavar = "" if option.parse is parsers.boolean else option.parse.metavar
    clause = option.description.partition(". ")[0].partition("; ")[0].rstrip(".").replace("`", "")
    default = option.default_as_text
    note = "" if option.parse is parsers.boolean or default in ("none", "off") or " " in default else f" [{default}]"
    return f"{option.flag} {metavar if len(metavar) <= _SHORT else 'NAME'}".strip(), f"{clause}.{note}"


def _no_such_option(flag: str, known: Iterable[str], ctx: click.Context) -> str:
    """Return the error message for the unknown flag ``flag``.

    The message names the other commands that have this flag. If no command has it, the message names a similar flag in
    ``known``.
    """
    root = ctx.find_root().command
    commands = root.commands if isinstance(root, click.Group) else {}
    others = [
        f"adapter {name}"
        for name, command in commands.items()
        if command is not ctx.command and any(flag in parameter.opts for parameter in command.params)
    ]
    if others:
        own = _COUNTERPARTS.get(flag, "")
        hint = f"; {ctx.command_path} has {own}" if own in known else ""
        listed = " and ".join([*filter(None, [", ".join(others[:-1])]), others[-1]])
        return f"No such option {flag}; it is an option of {listed}{hint}"
    # All flags begin with dashes, which would make any two flags similar.
    names = {each.lstrip("-"): each for each in known}
    return f"No such option {flag}{parsers.nearest(flag.lstrip('-'), names, names)}"


def with_options(*groups: str) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Return a decorator that adds the flags of the option groups ``groups``, then CMD, to a command.

    The command's function gets CMD as a list of words, and a mapping of option names to the strings that the user gave.
    """

    def decorate(function: Callable[..., int]) -> Callable[..., int]:
        def call(command: tuple[str, ...], **given: str | bool | tuple[str, ...] | None) -> int:
            flags = {name: _as_text(value) for name, value in given.items() if value is not None and value != ()}
            return function(list(command), flags)

        call.__doc__ = function.__doc__
        decorated: Callable[..., int] = click.argument(
            "command", nargs=-1, type=click.UNPROCESSED, metavar=_CMD, shell_complete=complete_file
        )(call)
        for option in reversed(Config.options.values()):
            if option.group in groups and option.flag is not None:
                decorated = _click_option(option)(decorated)
        return decorated

    return decorate


def _click_option(option: Option[Any]) -> Callable[[Callable[..., int]], Callable[..., int]]:
    default = option.default_as_text
    notes = ", ".join(option.env) if default == "none" else f"default: {default}; {', '.join(option.env)}"
    help_text = f"{option.description} [{notes}]".replace("`", "")
    if option.parse is parsers.boolean:
        flag = str(option.flag)
        # A flag that begins with --no- has no opposite.
        flags = flag if flag.startswith("--no-") else f"{flag}/--no-{flag[2:]}"
        return click.option(flags, option.name, is_flag=True, default=None, help=help_text)
    metavar = option.parse.metavar
    return click.option(
        str(option.flag),
        option.name,
        metavar=metavar,
        multiple=option.repeatable,
        help=help_text,
        shell_complete=complete_value(metavar),
    )


def _as_text(value: str | bool | tuple[str, ...]) -> str:
    if isinstance(value, tuple):
        return ",".join(value)
    return str(value).lower() if isinstance(value, bool) else value
