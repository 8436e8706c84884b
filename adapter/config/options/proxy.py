"""Options of the proxy, and of the cap on streams, which ``adapter dev`` shares."""

from __future__ import annotations

from adapter.aws.limits import LAMBDA_BANDWIDTH, Bandwidth
from adapter.config import parsers
from adapter.config.option import Option, OptionTable, optional
from adapter.net.address import Address

# The address that the proxy listens on by default: it is not reachable from other machines.
DEFAULT_LISTEN = Address(host="127.0.0.1", port=9000)


class StreamOptions(OptionTable):
    """The cap on streams, in the proxy and in ``adapter dev``."""

    group = "streams"

    bandwidth = Option[Bandwidth | None](
        "The cap on each streamed response: lambda (6 MB at once, then 2 MB/s), unlimited, or BURST+RATE.",
        parse=parsers.bandwidth,
        default=LAMBDA_BANDWIDTH,
        default_text="`lambda`",
    )
    stream_limit = optional(
        "The maximum size of a streamed body: 20mb (Lambda until July 2025), 200mb, none, or any size.",
        parse=parsers.stream_limit,
        default_text="`200mb` in dev, `none` in the proxy",
    )


class ProxyOptions(OptionTable):
    """Options that have an effect in the proxy only."""

    group = "proxy"

    listen = optional(
        "Listen for plain HTTP on this address; a port alone means all addresses (0.0.0.0).",
        parse=parsers.listen_address,
        default_text=f"`0.0.0.0:$PORT`; `{DEFAULT_LISTEN}` if PORT is not set or is the app's port",
    )
    listen_when_ready = Option(
        "Refuse connections until the app is ready, instead of answering 503; for balancers without health checks.",
        default=False,
    )
    admin = optional(
        "Serve /healthz, /readyz and /metrics on this address; /metrics needs the extra `metrics`.",
        parse=parsers.listen_address,
        default_text="off",
    )
    total_bandwidth = optional(
        "One cap for all streams together: lambda, unlimited, or BURST+RATE.",
        parse=parsers.bandwidth,
        default_text="`unlimited`",
    )
    trusted_proxies = Option[tuple[str, ...]](
        "Trust X-Forwarded-*, Forwarded, X-Real-IP and similar headers from these addresses; see docs/security.md.",
        parse=parsers.networks,
        default=(),
    )
    max_connections = optional(
        "The maximum number of connections. If it is reached, the connection that was idle for longest is "
        "closed; if none is idle, clients get 503.",
        parse=parsers.positive_integer,
        default_text="by the limit of open files",
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
        "Disconnect a client after this many seconds without progress, if the proxy waits for it to send or to read.",
        parse=parsers.positive_seconds,
        default=60.0,
    )
    drain_delay = Option(
        "After SIGTERM, still serve requests for this many seconds, while /readyz answers 503 to load balancers.",
        parse=parsers.seconds,
        default=0.0,
    )
    grace = Option("The time for streams to finish after SIGTERM, in seconds.", parse=parsers.seconds, default=8.0)
    foreground = Option(
        "Give the terminal to the app at its start, instead of when the app first reads or sets the terminal.",
        default=False,
    )
    restart = Option(
        "Start the app again when it ends: never, on-failure or always.",
        parse=parsers.choice("never", "on-failure", "always"),
        default="never",
    )
