"""The command line: parse, call, exit code. Its flags are those of the option table in ``config.py``."""

from __future__ import annotations

import click

from adapter import __version__
from adapter.config import parsers
from adapter.config.load import Config, environment
from adapter.errors import AdapterError, ConfigurationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from adapter.config.option import Option

EXIT_OK, EXIT_FAILURE, EXIT_USAGE = 0, 1, 2
# As a shell gives it: 128 + SIGINT.
EXIT_INTERRUPTED = 130

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


# What `adapter run` has somewhere, and `adapter check` looks at.
_RUN_GROUPS = ("app", "readiness", "requests", "responses", "lambda", "streams", "proxy", "logs")

# How CMD is written, and what the help says of it.
_CMD = "-- CMD"
_CMD_HELP = "The command that starts the app, with its own options; {port} in it stands for a free port."


class _GroupedCommand(click.Command):
    """A command whose help lists its options under the headings of the option table.

    Of flags that it does not have all are told at once.
    """

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
        """The flags before CMD that there are not; a word after one of them is taken for its value."""
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


def _no_such_option(flag: str, known: Iterable[str], ctx: click.Context) -> str:
    others = [
        f"adapter {name}"
        for name, command in cli.commands.items()
        if command is not ctx.command and any(flag in parameter.opts for parameter in command.params)
    ]
    hint = f"; it is one of {' and '.join(others)}" if others else parsers.nearest(flag, known)
    return f"No such option {flag}{hint}"


def _options(*groups: str) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Gives a command the flags of ``groups``, then CMD. It gets the texts as one mapping, ``flags``."""

    def decorate(function: Callable[..., int]) -> Callable[..., int]:
        def call(command: tuple[str, ...], **given: str | bool | tuple[str, ...] | None) -> int:
            flags = {name: _as_text(value) for name, value in given.items() if value is not None and value != ()}
            return function(list(command), flags)

        call.__doc__ = function.__doc__
        decorated: Callable[..., int] = click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar=_CMD)(call)
        for option in reversed(Config.options.values()):
            if option.group in groups and option.flag is not None:
                decorated = _click_option(option)(decorated)
        return decorated

    return decorate


def _click_option(option: Option[Any]) -> Callable[[Callable[..., int]], Callable[..., int]]:
    default = option.default_text or (f"{option.default:g}" if isinstance(option.default, float) else option.default)
    if isinstance(default, bool):
        default = "on" if default else "off"
    described = [f"default: {default}"] if default not in (None, "") else []
    described.append(", ".join(option.env))
    help_text = f"{option.description} [{'; '.join(described)}]".replace("`", "")
    if option.parse is parsers.boolean:
        return click.option(f"{option.flag}/--no-{str(option.flag)[2:]}", option.name, default=None, help=help_text)
    return click.option(
        str(option.flag), option.name, metavar=option.metavar, multiple=option.repeatable, help=help_text
    )


def _as_text(value: str | bool | tuple[str, ...]) -> str:
    if isinstance(value, tuple):
        return ",".join(value)
    return str(value).lower() if isinstance(value, bool) else value


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, "-V", "--version", prog_name="adapter")
def cli() -> None:
    """Any web app behind AWS Lambda, streamed or buffered.

    \b
    adapter dev -- uvicorn main:app --port {port}    Lambda on this machine
    adapter run -- uvicorn main:app --port {port}    the custom runtime, on Lambda
    adapter event sqs --body hello | adapter invoke -

    {port} stands for a free port; the app also gets it as PORT.
    """


@cli.command(
    "run",
    cls=_GroupedCommand,
    context_settings={"allow_interspersed_args": False},
    short_help="Serve an app: on Lambda as its runtime, elsewhere as a proxy.",
)
@_options(*_RUN_GROUPS)
def run(command: list[str], flags: dict[str, str]) -> int:
    """Serve the app that CMD starts, or without CMD one that something else started.

    Where AWS_LAMBDA_RUNTIME_API is set this is the function's custom runtime, configured by the environment; it also
    works as a file in /opt/extensions. Elsewhere it is a proxy in front of the app: plain HTTP on --listen.

    \b
    adapter run -- uvicorn main:app --port {port}
    adapter run --listen 0.0.0.0:8000 --bandwidth unlimited -- gunicorn main:app --bind 127.0.0.1:{port}
    """
    from adapter.start import run as start

    return start(command, flags)


@cli.command(
    "dev",
    cls=_GroupedCommand,
    context_settings={"allow_interspersed_args": False},
    short_help="Lambda on this machine, with an app in it.",
)
@click.option("--wait", is_flag=True, help="Start nothing: wait until the adapter dev on these ports answers.")
@_options("app", "readiness", "requests", "responses", "streams", "dev", "logs")
def dev(command: list[str], flags: dict[str, str]) -> int:
    """Run Lambda on this machine, with the app that CMD starts in it.

    A function URL on http://127.0.0.1:3000, or another front door, turns requests into events, the real runtime serves
    them, and responses come back under Lambda's bandwidth cap and limits. The Invoke APIs for SDKs and the AWS CLI are
    on port 3001. Ctrl-C ends everything.

    \b
    adapter dev -- uvicorn main:app --port {port}
    adapter dev --invoke-mode buffered -- gunicorn main:app --bind 127.0.0.1:{port}
    adapter dev --runtime 'python -m awslambdaric main.handler'
    adapter dev --wait    exit code 0 as soon as it answers, 1 if it does not in time
    """
    is_waiting = flags.pop("wait") == "true"
    from adapter.emulator.commands.dev import run as run_dev

    return run_dev(environment(), flags, command, wait=is_waiting)


@cli.command(
    "check",
    cls=_GroupedCommand,
    context_settings={"allow_interspersed_args": False},
    short_help="Show what adapter run would do here, and what is wrong.",
)
@click.option("--all", "with_defaults", is_flag=True, help="Show the settings at their defaults, too.")
@click.option("--format", "report_format", type=click.Choice(["text", "json"]), help="How to write the report.")
@_options(*_RUN_GROUPS)
def check(command: list[str], flags: dict[str, str]) -> int:
    """Show what adapter run would do here: what is set and where it comes from, mistakes, taken ports, the app.

    The last line is the verdict. It takes the flags and CMD of adapter run, and starts nothing. Without CMD it asks the
    app that listens whether it is ready. Exit code 2: a mistake in the settings; 1: something is in the way at the
    moment.

    \b
    adapter check --format json
    adapter check -- uvicorn main:app --port {port}
    """
    from adapter.cli.check import examine

    with_defaults = flags.pop("with_defaults") == "true"
    report_format = flags.pop("report_format", None)
    report = examine(environment(), flags, command, _RUN_GROUPS)
    is_json = report.is_json if report_format is None else report_format == "json"
    click.echo(report.as_json() if is_json else report.as_text(GROUPS, with_defaults=with_defaults))
    return report.exit_code


@cli.command("health", short_help="Say whether the proxy is healthy, for a HEALTHCHECK.")
@click.option("--listen", metavar="HOST:PORT", help="Where the proxy listens. [ADAPTER_LISTEN]")
@click.option("--admin", metavar="HOST:PORT", help="Ask /readyz there. [ADAPTER_ADMIN]")
def health(**given: str | None) -> int:
    """Exit with 0 if the proxy on this machine is healthy, else with 1 and the reason: a HEALTHCHECK without curl.

    With an admin address its /readyz tells whether the app is ready, too; without one a connection to the proxy is
    enough.

    \b
    HEALTHCHECK CMD ["/opt/adapter/bin/adapter", "health"]
    """
    from adapter.cli.health import run as run_health

    return run_health({name: value for name, value in given.items() if value is not None})


@cli.command("invoke", short_help="Invoke the function in adapter dev.")
@click.argument("events", nargs=-1, required=True, metavar="EVENT...")
@click.option("--stream", is_flag=True, help="Invoke for a streamed response and write it as it comes.")
@click.option("--function", metavar="NAME", help="The function's name or ARN. [default: local]")
@click.option("--endpoint", metavar="URL", help="Where the Invoke APIs are. [default: those of adapter dev here]")
@click.option(
    "--type",
    "invocation_type",
    default="RequestResponse",
    type=click.Choice(["RequestResponse", "Event", "DryRun"]),
    help="Wait for the answer, queue the event, or only check. [default: RequestResponse]",
)
@click.option("--qualifier", default="", metavar="VERSION", help="A version or an alias.")
@click.option("--client-context", default="", metavar="JSON", help="What the function is told about its client.")
@click.option("--tenant-id", default="", metavar="ID", help="The tenant that the invocation is for.")
@click.option("--body", is_flag=True, help="Write only the body, decoded, of a payload that is an HTTP response.")
@click.option("--log", is_flag=True, help="Show the last 4 KB of the invocation's log on stderr.")
def invoke(events: tuple[str, ...], **options: Any) -> int:
    """Invoke the function in adapter dev, and write its payload to stdout.

    EVENT is a JSON file, - for standard input, a recording of adapter dev --record, or a folder of either. A pipe or a
    file gets the payload byte for byte; on a terminal the head of a streamed response is decoded and goes to stderr.
    Exit code 1: a function error, or no answer.

    \b
    adapter invoke event.json
    adapter event sqs --body hello | adapter invoke -
    adapter invoke --stream recordings/
    """
    from adapter.emulator.commands.invoke import run

    return run(environment(), events, **options)


@cli.command("event", short_help="Make an event of any source.")
@click.argument("kind", required=False, metavar="KIND")
@click.option("--method", help="The method of an HTTP request. [default: GET]")
@click.option("--path", help="Its path, perhaps with a query. [default: /]")
@click.option("--header", "headers", multiple=True, metavar="NAME:VALUE", help="One of its headers.")
@click.option("--body", metavar="TEXT|@FILE", help="Its body, or the message, key or item of another source.")
@click.option("--name", help="The queue, topic, bucket, table or stream.")
@click.option("--stage", help="The stage of a REST API. [default: prod]")
@click.option("--resource", help="The resource of a REST API. [default: /{proxy+}]")
def event(kind: str | None, **options: Any) -> int:
    """Write an event of any source to stdout, as JSON; without KIND, the kinds there are.

    A flag that the source has no use for is a mistake.

    \b
    adapter event http-api --method POST --path '/orders?dry=1' --body @order.json
    adapter event sqs --name jobs --body '{"id": 7}'
    """
    from adapter.emulator.commands.event import run

    return run(kind, **options)


def main(arguments: list[str]) -> int:
    """Run the command line; its exit code. Every error is a line on stderr that names the cause and the way out."""
    try:
        code = cli.main(arguments, prog_name="adapter", standalone_mode=False)
        return code if isinstance(code, int) else EXIT_OK
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.Abort:
        return EXIT_INTERRUPTED
    except click.ClickException as error:
        error.show()
        return EXIT_USAGE
    except ConfigurationError as error:
        for mistake in error.mistakes:
            click.echo(f"adapter: {mistake}", err=True)
        return EXIT_USAGE
    except AdapterError as error:
        click.echo(f"adapter: {error}", err=True)
        return EXIT_FAILURE
