"""Options of the log: its format, its level, and the access log."""

from __future__ import annotations

from adapter.config import parsers
from adapter.config.option import Option, OptionTable


class LogOptions(OptionTable):
    """Options of the log on Lambda, in the proxy and in ``adapter dev``."""

    group = "logs"

    log_format = Option(
        "Write log lines as text for people or as JSON for machines.",
        parse=parsers.choice("text", "json"),
        default="text",
        env=("ADAPTER_LOG_FORMAT", "AWS_LAMBDA_LOG_FORMAT"),
    )
    log_level = Option(
        "The lowest level of the log lines that are written.",
        parse=parsers.choice("trace", "debug", "info", "warn", "error", "fatal"),
        default="info",
        env=("ADAPTER_LOG_LEVEL", "AWS_LAMBDA_LOG_LEVEL"),
    )
    access_log = Option(
        "Log one line per invocation or request; failures are logged even with --no-access-log.",
        default=True,
    )
