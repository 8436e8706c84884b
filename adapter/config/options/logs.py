"""Options of the log: format, level, and which lines."""

from __future__ import annotations

from adapter.config import parsers
from adapter.config.option import Option, OptionTable


class LogOptions(OptionTable):
    """Options that mean the same on Lambda, in the proxy and in ``adapter dev``."""

    log_format = Option(
        "Write log lines as text for people or as JSON for machines.",
        parse=parsers.choice("text", "json"),
        default="text",
        env=("ADAPTER_LOG_FORMAT", "AWS_LAMBDA_LOG_FORMAT"),
        group="logs",
    )
    log_level = Option(
        "The lowest level to write.",
        parse=parsers.choice("trace", "debug", "info", "warn", "error", "fatal"),
        default="info",
        env=("ADAPTER_LOG_LEVEL", "AWS_LAMBDA_LOG_LEVEL"),
        group="logs",
    )
    access_log = Option(
        "Write one line per invocation or request.",
        parse=parsers.boolean,
        default=True,
        env=("ADAPTER_ACCESS_LOG",),
        group="logs",
    )
