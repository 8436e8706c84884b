"""The commands of the command line. Most flags are options of ``adapter/config``."""

from __future__ import annotations

import gc

import click

from adapter import __version__
from adapter.cli.completion import SET_UP, complete_command, complete_error, complete_kind, complete_shell
from adapter.cli.grouped_command import GROUPS, Commands, GroupedCommand, help_all_option, help_of, with_options
from adapter.cli.streams import discard_stdout
from adapter.config.load import Config, environment, log_format
from adapter.errors import (
    EXIT_FAILURE,
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_READER_GONE,
    EXIT_USAGE,
    AdapterError,
    ConfigurationError,
    OutputFailed,
)
from adapter.logs import write_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# The options of `adapter run`, on Lambda or elsewhere, which `adapter check` reports.
_RUN_GROUPS = ("app", "readiness", "requests", "responses", "lambda", "streams", "proxy", "logs")
# The options that --help shows; --help-all shows all.
_FIRST_OF_RUN = (
    *("listen", "app_port", "app_dir", "invoke_mode", "bandwidth", "admin", "trusted_proxies"),
    *("grace", "readiness_path", "restart", "log_format"),
)
_FIRST_OF_DEV = (
    *("dev_port", "front_doors", "invoke_mode", "app_port", "app_dir", "warm", "reload", "debug"),
    *("env_file", "template", "environments", "faults"),
)

_NO_EMULATOR = (
    "this installation is for production and does not contain the local Lambda (adapter dev, invoke and event); "
    "to install the local Lambda on your machine, run: pip install web-adapter"
)


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    params=[help_all_option()],
    epilog="Guides: docs/index.md",
)
@click.version_option(__version__, "-V", "--version", prog_name="adapter")
def cli() -> None:
    """Serve any web app on AWS Lambda, with streamed or buffered responses.

    \b
    adapter dev -- uvicorn main:app --port {port}    Lambda on this machine
    adapter run -- uvicorn main:app --port {port}    the custom runtime, on Lambda
    adapter event sqs --body hello | adapter invoke -

    {port} stands for a free port; the app also gets this port in the variable PORT.
    """


@cli.command(
    "run",
    cls=GroupedCommand,
    first=_FIRST_OF_RUN,
    short_help="Serve an app: on Lambda as its runtime, elsewhere as a proxy.",
    epilog="Guides: docs/lambda.md, docs/deploy/containers.md, docs/options.md",
)
@with_options(*_RUN_GROUPS)
def run(command: list[str], flags: dict[str, str]) -> int:
    """Start CMD as the app and serve it. Without CMD, serve an app that is already running.

    If AWS_LAMBDA_RUNTIME_API is set, adapter run is the custom runtime of the Lambda function, and is configured by
    environment variables. Lambda can also start it from /opt/extensions. If AWS_LAMBDA_RUNTIME_API is not set, adapter
    run is a proxy in front of the app. The proxy serves plain HTTP on the address in --listen.

    \b
    adapter run -- uvicorn main:app --port {port}
    adapter run --listen 0.0.0.0:8000 --bandwidth unlimited -- gunicorn main:app --bind 127.0.0.1:{port}
    """
    from adapter.start import run as start

    return start(command, flags)


@cli.command(
    "dev",
    cls=GroupedCommand,
    first=_FIRST_OF_DEV,
    short_help="Run an app in Lambda on this machine.",
    epilog="Guides: docs/dev.md, docs/frameworks.md, docs/options.md",
)
@click.option(
    "--wait",
    is_flag=True,
    help="Start nothing. Wait for the adapter dev on these ports and, if it was started with --warm, for its app.",
)
@with_options("app", "readiness", "requests", "responses", "streams", "dev", "logs")
def dev(command: list[str], flags: dict[str, str]) -> int:
    """Start CMD as the app, in an emulated Lambda on this machine.

    A function URL on http://127.0.0.1:3000, or another front door, turns requests into events. The runtime handles
    these events as it does on Lambda. Lambda's bandwidth cap and limits apply to the responses. The Invoke APIs for
    SDKs and the AWS CLI are on port 3001. Ctrl-C ends everything.

    \b
    adapter dev -- uvicorn main:app --port {port}
    adapter dev --invoke-mode buffered -- gunicorn main:app --bind 127.0.0.1:{port}
    adapter dev --invoke-mode buffered --runtime 'python -m awslambdaric main.handler'
    adapter dev --wait    exit with 0 when adapter dev is ready, with 1 after a timeout
    """
    is_waiting = flags.pop("wait") == "true"
    # The modules are never freed, so the garbage collector need not search them.
    gc.disable()
    from adapter.net.lean_asyncio import load_asyncio

    load_asyncio()
    from adapter.emulator.commands.dev import run as run_dev

    gc.freeze()
    gc.enable()
    return run_dev(environment(), flags, command, wait=is_waiting)


@cli.command(
    "check",
    cls=GroupedCommand,
    first=_FIRST_OF_RUN,
    short_help="Show what adapter run would do here, and what prevents it.",
    epilog="Guides: docs/options.md, docs/errors.md",
)
@click.option("--all", "with_defaults", is_flag=True, help="Also show the settings with default values.")
@click.option("--format", "report_format", type=click.Choice(["text", "json"]), help="The format of the report.")
@with_options(*_RUN_GROUPS)
def check(command: list[str], flags: dict[str, str]) -> int:
    """Show what adapter run would do here: settings and their sources, mistakes, taken ports, the state of the app.

    adapter check accepts the flags and CMD of adapter run, but starts nothing. Without CMD, it checks whether a running
    app is ready. The last line is the verdict. The exit code is 2 for a mistake in the settings, 1 for a temporary
    problem.

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


@cli.command(
    "health",
    short_help="Check whether the proxy is healthy, for a HEALTHCHECK.",
    epilog="Guide: docs/deploy/containers.md",
)
@click.option("--listen", metavar="HOST:PORT", help="The address of the proxy. [ADAPTER_LISTEN]")
@click.option("--admin", metavar="HOST:PORT", help="The address of /readyz. [ADAPTER_ADMIN]")
def health(**given: str | None) -> int:
    """Exit with 0 if the proxy on this machine is healthy. Otherwise write the reason to stderr, and exit with 1.

    With an admin address, /readyz must answer that the app is ready. Without an admin address, a connection to the
    proxy is enough.
    A HEALTHCHECK with this command does not need curl.

    \b
    HEALTHCHECK CMD ["/opt/adapter/bin/adapter", "health"]
    """
    from adapter.cli.health import run as run_health

    return run_health({name: value for name, value in given.items() if value is not None})


@cli.command("invoke", short_help="Invoke the function in adapter dev.", epilog="Guide: docs/dev.md")
@click.argument("events", nargs=-1, required=True, metavar="EVENT...")
@click.option("--stream", is_flag=True, help="Request a streamed response, and write it as it arrives.")
@click.option("--function", metavar="NAME", help="The name or ARN of the function. [default: local]")
@click.option("--endpoint", metavar="URL", help="The URL of the Invoke APIs. [default: adapter dev on this machine]")
@click.option(
    "--type",
    "invocation_type",
    default="RequestResponse",
    type=click.Choice(["RequestResponse", "Event", "DryRun"]),
    help=(
        "RequestResponse waits for the response, Event queues the event, and DryRun only checks the request. "
        "[default: RequestResponse]"
    ),
)
@click.option("--qualifier", default="", metavar="VERSION", help="The version or alias of the function to invoke.")
@click.option("--client-context", default="", metavar="JSON", help="The client context for the function.")
@click.option("--tenant-id", default="", metavar="ID", help="The tenant of the invocation.")
@click.option("--body", is_flag=True, help="If the payload is an HTTP response, write only its decoded body.")
@click.option("--log", is_flag=True, help="Show the last 4 KB of the invocation's log on stderr.")
@click.option(
    "--fail-on-status",
    is_flag=True,
    help=(
        "Also exit with 1 if the app answers an HTTP request with status 400 or higher, or another event with status "
        "300 or higher."
    ),
)
def invoke(events: tuple[str, ...], **options: Any) -> int:
    """Invoke the function in adapter dev, and write the response payload to stdout.

    EVENT is a JSON file, a recording of adapter dev --record, or a folder of such files; - means standard input. If
    stdout is a pipe or a file, it gets the payload unchanged. On a terminal, the head of a streamed response is decoded
    and written to stderr. The exit code is 1 if the function fails or no response arrives.

    \b
    adapter invoke event.json
    adapter event sqs --body hello | adapter invoke -
    adapter invoke --stream recordings/
    """
    from adapter.emulator.commands.invoke import run

    return run(environment(), events, **options)


@cli.command("event", short_help="Write an event of any source.", epilog="Guide: docs/dev.md")
@click.argument("kind", required=False, metavar="KIND", shell_complete=complete_kind)
@click.option("--method", help="The method of an HTTP request. [default: GET]")
@click.option("--path", help="The path of a request, with or without a query. [default: /]")
@click.option("--header", "headers", multiple=True, metavar="NAME:VALUE", help="A header of a request.")
@click.option(
    "--body", metavar="TEXT|@FILE", help="The body of an HTTP request, or the message, key or item of another event."
)
@click.option("--name", help="The name of the queue, topic, bucket, table or stream.")
@click.option("--stage", help="The stage of a REST API. [default: prod]")
@click.option("--resource", help="The resource of a REST API. [default: /{proxy+}]")
def event(kind: str | None, **options: Any) -> int:
    """Write an event of any source to stdout, as JSON. Without KIND, list the kinds.

    A flag that has no meaning for KIND is an error.

    \b
    adapter event http-api --method POST --path '/orders?dry=1' --body @order.json
    adapter event sqs --name jobs --body '{"id": 7}'
    """
    from adapter.emulator.commands.event import run

    return run(environment(), kind, **options)


@cli.command("error", short_help="Show what an error means and what to do.", epilog="Guide: docs/errors.md")
@click.argument("name", required=False, metavar="NAME", shell_complete=complete_error)
def error(name: str | None) -> int:
    """Show what the error NAME means and what to do. Without NAME, list all names.

    \b
    adapter error Adapter.AppNotReady
    adapter error sandbox.timeout
    """
    from adapter.cli.error_names import run

    return run(name)


@cli.command(
    "completion",
    short_help="Let a shell complete commands, options and their values.",
    help=(
        "Write the script with which SHELL completes commands, options, their values and kinds of events.\n\n"
        f"To set up a shell, add the line on the left to the file on the right:\n\n\b\n{SET_UP}"
    ),
)
@click.argument("shell", required=False, metavar="bash|zsh|fish", shell_complete=complete_shell)
def completion(shell: str | None) -> int:
    """Write the completion script for a shell."""
    from adapter.cli.completion import run

    return run(cli, shell)


@cli.command("help", short_help="Show the help of a command.")
@click.argument("command", required=False, metavar="COMMAND", shell_complete=complete_command)
@click.option("--all", "with_all", is_flag=True, help="Show every option, by topic.")
@click.pass_context
def help_command(ctx: click.Context, command: str | None, *, with_all: bool) -> int:
    """Show the help of COMMAND. Without COMMAND, list the commands."""
    if command is not None and command not in cli.commands:
        raise click.UsageError(cli.no_such_command(command), ctx.find_root())
    named = cli if command is None else cli.commands[command]
    click.echo(ctx.find_root().get_help() if command is None else help_of(named, command, ctx, with_all=with_all))
    return EXIT_OK


@cli.command("version", short_help="Show the version.")
def version() -> int:
    """Show the version, as adapter --version does."""
    click.echo(f"adapter, version {__version__}")
    return EXIT_OK


@cli.command("init", short_help="Write the files that deploy an app.", epilog="Guide: docs/deploy/init.md")
@click.argument("kind", metavar="sam|docker|helm", type=click.Choice(["sam", "docker", "helm"]))
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="-- CMD")
def init(kind: str, command: tuple[str, ...]) -> None:
    """Write the files that deploy the app of this folder. CMD is the command that starts the app.

    docker writes a Dockerfile for Lambda and containers. sam writes the Dockerfile and a template with a streaming
    function URL. helm writes a chart with the adapter as a sidecar. Existing files are not overwritten.

    \b
    adapter init docker -- gunicorn main:app --bind 127.0.0.1:{port}
    adapter init sam -- uvicorn main:app --port {port}
    """
    from adapter.cli.init import run

    for line in run(kind, list(command)):
        click.echo(line)


def main(arguments: list[str]) -> int:
    """Run the command line, and return its exit code. Every error is written to stderr with its cause and a remedy."""
    try:
        code = cli.main(arguments, prog_name="adapter", standalone_mode=False)
        return code if isinstance(code, int) else EXIT_OK
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.Abort:
        return EXIT_INTERRUPTED
    except click.ClickException as error:
        if _format(arguments) == "text":
            error.show()
        else:
            write_error(error.format_message(), format="json")
        return EXIT_USAGE
    except ConfigurationError as error:
        for mistake in error.mistakes:
            write_error(mistake, format=_format(arguments))
        return EXIT_USAGE
    except OutputFailed as error:
        discard_stdout()
        if error.reader_gone:
            return EXIT_READER_GONE
        write_error(str(error), format=_format(arguments))
        return EXIT_FAILURE
    except AdapterError as error:
        write_error(str(error), format=_format(arguments))
        return EXIT_FAILURE
    except ModuleNotFoundError as error:
        # deploy/build-bundle leaves it out.
        if error.name != "adapter.emulator":
            raise
        write_error(_NO_EMULATOR, format=_format(arguments))
        return EXIT_USAGE


def _format(arguments: list[str]) -> str:
    """Return the format of log lines. This works even if click cannot parse ``arguments``."""
    flag = str(Config.options["log_format"].flag)
    flags: dict[str, str] = {}
    words = iter(arguments)
    for word in words:
        name, equals, value = word.partition("=")
        if word == "--":
            break
        if name == flag:
            flags["log_format"] = value if equals else next(words, "")
    return log_format(environment(), flags)
