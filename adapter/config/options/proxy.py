"""Options of the proxy. The options that limit streams also have an effect in ``adapter dev``."""

from __future__ import annotations

from adapter.aws.limits import LAMBDA_BANDWIDTH, Bandwidth
from adapter.config import parsers
from adapter.config.option import Option, OptionTable, optional
from adapter.net.address import Address

# The address that the proxy listens on by default: it is not reachable from other machines.
DEFAULT_LISTEN = Address(host="127.0.0.1", port=9000)


class StreamOptions(OptionTable):
    """Options that limit the speed and the size of streams, in the proxy and in ``adapter dev``."""

    group = "streams"

    bandwidth = Option[Bandwidth | None](
        "The bandwidth cap of each streamed response: lambda (6 MB at once, then 2 MB/s), unlimited, or BURST+RATE.",
        parse=parsers.bandwidth,
        default=LAMBDA_BANDWIDTH,
        default_text="`lambda`",
    )
    stream_limit = optional(
        "The maximum size of a streamed body: 20mb (Lambda's limit until July 2025), 200mb, none, or any size.",
        parse=parsers.stream_limit,
        default_text="`200mb` in dev, `none` in the proxy",
    )


class ProxyOptions(OptionTable):
    """Options of the proxy. ``adapter dev --debug`` sets ``foreground`` as well; the others have no effect there."""

    group = "proxy"

    listen = optional(
        "Listen for plain HTTP on this address; a port alone means all addresses (0.0.0.0).",
        parse=parsers.listen_address,
        default_text=f"`0.0.0.0:$PORT`; `{DEFAULT_LISTEN}` if PORT is not set or is the app's port",
    )
    listen_when_ready = Option(
        "Refuse connections until the app is ready, instead of answering 503; for load balancers without health "
        "checks.",
        default=False,
    )
    admin = optional(
        "Serve /healthz, /readyz and /metrics on this address; /metrics needs the extra `metrics`.",
        parse=parsers.listen_address,
        default_text="off",
    )
    total_bandwidth = optional(
        "One bandwidth cap for all streams together: lambda, unlimited, or BURST+RATE.",
        parse=parsers.bandwidth,
        default_text="`unlimited`",
    )
    trusted_proxies = Option[tuple[str, ...]](
        "Trust X-Forwarded-*, Forwarded, X-Real-IP and similar headers from these addresses; see docs/security.md.",
        parse=parsers.networks,
        default=(),
    )
    max_connections = optional(
        "The maximum number of connections. If this number is reached, the connection that has been idle for longest "
        "is closed; if no connection is idle, new clients get 503.",
        parse=parsers.positive_integer,
        default_text="derived from the limit of open files",
    )
    request_timeout = optional(
        "Answer 504 if the app has not begun its response after this many seconds.",
        parse=parsers.positive_seconds,
        default_text="no limit",
    )
    idle_timeout = optional(
        "Cut off a response if the app sends nothing for this many seconds.",
        parse=parsers.positive_seconds,
        default_text="no limit",
    )
    client_timeout = Option(
        "Disconnect a client if the proxy has been waiting this many seconds for the client to send or read any data.",
        parse=parsers.positive_seconds,
        default=60.0,
    )
    drain_delay = Option(
        "After SIGTERM, still serve requests for this many seconds, while /readyz answers 503 to load balancers.",
        parse=parsers.seconds,
        default=0.0,
    )
    grace = Option(
        "After SIGTERM and --drain-delay, give requests and streams this many seconds to finish.",
        parse=parsers.seconds,
        default=8.0,
    )
    foreground = Option(
        "Give the terminal to the app as soon as the app starts. Without this option, the app gets the terminal when "
        "the app first reads from the terminal or changes the terminal's settings.",
        default=False,
    )
    restart = Option(
        "Start the app again when it ends: never, on-failure or always.",
        parse=parsers.choice("never", "on-failure", "always"),
        default="never",
    )
