"""The command line: parse, call, exit code. Its flags are those of the option table in ``config.py``."""

from __future__ import annotations

import click

from adapter import __version__, parse
from adapter.config import Config, environment, load
from adapter.errors import AdapterError, ConfigurationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from adapter.option import Option

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


class _GroupedCommand(click.Command):
    """A command whose help lists its options under the headings of the option table."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {heading: [] for heading in GROUPS.values()}
        sections["Other"] = []
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                option = Config.options.get(str(parameter.name))
                sections["Other" if option is None else GROUPS[option.group]].append(record)
        for heading, records in sections.items():
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)


def _options(*groups: str) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Gives a command the flags of ``groups``, then CMD. It gets the texts as one mapping, ``flags``."""

    def decorate(function: Callable[..., int]) -> Callable[..., int]:
        def call(command: tuple[str, ...], **given: str | bool | tuple[str, ...] | None) -> int:
            flags = {name: _as_text(value) for name, value in given.items() if value is not None and value != ()}
            return function(list(command), flags)

        call.__doc__ = function.__doc__
        decorated: Callable[..., int] = click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="-- CMD")(
            call
        )
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
    if option.parse is parse.boolean:
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


@cli.command("run", cls=_GroupedCommand, context_settings={"allow_interspersed_args": False})
@_options("app", "readiness", "requests", "responses", "streams", "proxy", "lambda", "logs")
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


@cli.command("dev", cls=_GroupedCommand, context_settings={"allow_interspersed_args": False})
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
    environ = environment()
    config = load(environ, flags)
    if is_waiting:
        from adapter.emulator.wait import wait_for_dev

        return wait_for_dev(config)
    if not command and config.runtime is None:
        raise ConfigurationError(["CMD: is missing; name the command that starts the app: adapter dev -- CMD"])
    if config.env_file is not None:
        from adapter.emulator.env_file import read_env_file

        environ |= read_env_file(config.env_file)
        config = load(environ, flags)
    from adapter.emulator.serve import run as run_emulator

    return run_emulator(config, environ, command)


# What `adapter check` looks at: the options that `adapter run` has somewhere.
_RUN_GROUPS = ("app", "readiness", "requests", "responses", "lambda", "streams", "proxy", "logs")


@cli.command("check", cls=_GroupedCommand, context_settings={"allow_interspersed_args": False})
@_options(*_RUN_GROUPS)
def check(command: list[str], flags: dict[str, str]) -> int:
    """Show what adapter run would do here: every setting and where it comes from, mistakes, taken ports, the app.

    It takes the flags and CMD of adapter run, and starts nothing. Without CMD it asks the app that listens whether it
    is ready. Exit code 2: a mistake in the settings; 1: something is in the way at the moment.

    \b
    adapter check --log-format json
    adapter check -- uvicorn main:app --port {port}
    """
    from adapter.check import examine

    report = examine(environment(), flags, command, _RUN_GROUPS)
    click.echo(report.as_json() if report.is_json else report.as_text(GROUPS))
    return report.exit_code


@cli.command("health")
@click.option("--listen", metavar="HOST:PORT", help="Where the proxy listens. [ADAPTER_LISTEN]")
@click.option("--admin", metavar="HOST:PORT", help="Ask /readyz there. [ADAPTER_ADMIN]")
def health(**given: str | None) -> int:
    """Exit with 0 if the proxy on this machine is healthy, else with 1 and the reason: a HEALTHCHECK without curl.

    With an admin address its /readyz tells whether the app is ready, too; without one a connection to the proxy is
    enough.

    \b
    HEALTHCHECK CMD ["/opt/adapter/bin/adapter", "health"]
    """
    from adapter.health import run as run_health

    return run_health({name: value for name, value in given.items() if value is not None})


@cli.command("invoke")
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
@click.option("--log", is_flag=True, help="Show the last 4 KB of the invocation's log on stderr.")
def invoke(events: tuple[str, ...], **manner: Any) -> int:
    """Invoke the function in adapter dev, and write its payload to stdout.

    EVENT is a JSON file, - for standard input, a recording of adapter dev --record, or a folder of either. Exit code 1:
    a function error, or no answer.

    \b
    adapter invoke event.json
    adapter event sqs --body hello | adapter invoke -
    adapter invoke --stream recordings/
    """
    from adapter.emulator.invoke_command import run

    return run(environment(), events, **manner)


@cli.command("event")
@click.argument("kind", required=False, metavar="KIND")
@click.option("--method", default="GET", help="The method of an HTTP request. [default: GET]")
@click.option("--path", default="/", help="Its path, perhaps with a query. [default: /]")
@click.option("--header", "headers", multiple=True, metavar="NAME:VALUE", help="One of its headers.")
@click.option("--body", metavar="TEXT|@FILE", help="Its body, or the message, key or item of another source.")
@click.option("--name", default="", help="The queue, topic, bucket, table or stream.")
@click.option("--stage", default="prod", help="The stage of a REST API. [default: prod]")
@click.option("--resource", default="/{proxy+}", help="The resource of a REST API. [default: /{proxy+}]")
def event(kind: str | None, **wish: Any) -> int:
    """Write an event of any source to stdout, as JSON; without KIND, the kinds there are.

    \b
    adapter event http-api --method POST --path '/orders?dry=1' --body @order.json
    adapter event sqs --name jobs --body '{"id": 7}'
    """
    from adapter.emulator.event_command import run

    return run(kind, **wish)


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
