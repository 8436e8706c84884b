"""What the options say about the function and its URL, with Lambda's own values where they say nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapter.parse import NO_LIMIT
from adapter.throttle import STREAM_LIMIT

if TYPE_CHECKING:
    from adapter.config import Config
    from adapter.throttle import Bandwidth


class UrlSettings:
    """``invoke_mode`` is the function's, ``url_invoke_mode`` the URL's; ``stream_limit`` is in bytes, None for none."""

    def __init__(self, config: Config) -> None:
        self.host = config.dev_host
        self.port = config.dev_port
        self.timeout = config.timeout
        self.bandwidth: Bandwidth | None = config.bandwidth
        self.invoke_mode = config.invoke_mode or "response_stream"
        self.url_invoke_mode = config.url_invoke_mode or self.invoke_mode
        # The option is shared with the proxy, which has no limit by default; here the default is Lambda's.
        limit = STREAM_LIMIT if config.stream_limit is None else config.stream_limit
        self.stream_limit = None if limit == NO_LIMIT else limit
