"""The proxy's counters. Requests update plain numbers; a scrape converts the numbers to Prometheus metrics.

The text format is written by prometheus_client, which the extra ``metrics`` installs.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.metrics_core import Metric

# Upper bounds of the histogram of times to first byte, in seconds.
FIRST_BYTE_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
# The message if the metrics cannot be exported.
METRICS_NEED = "prometheus_client is not installed; run pip install 'web-adapter[metrics]'"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Counters of one process. The code that serves requests increments them directly."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, str]] = Counter()
        self.in_flight = 0
        self.request_bytes = 0
        self.response_bytes = 0
        self.throttled_seconds = 0.0
        self.upstream_errors: Counter[str] = Counter()
        self.app_starts = 0
        self.first_byte_counts = [0] * (len(FIRST_BYTE_BOUNDS) + 1)
        self.first_byte_sum = 0.0

    def count_request(self, method: str, status: int, sent: int, first_byte: float) -> None:
        """Count a request that has ended. ``sent`` is the number of bytes of the app's response body that were sent.

        ``first_byte`` is the time from the request to the app's response head, in seconds; 0 if the app did not answer.
        """
        self.requests[method, f"{status // 100}xx"] += 1
        self.response_bytes += sent
        if first_byte:
            self.first_byte_counts[bisect_left(FIRST_BYTE_BOUNDS, first_byte)] += 1
            self.first_byte_sum += first_byte

    def exposition(self) -> bytes:
        """Return the text that Prometheus scrapes. Raises ImportError if prometheus_client is not installed."""
        from prometheus_client import CollectorRegistry, generate_latest

        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        # Compiled without the library, mypy knows no type of it.
        text: bytes = generate_latest(registry)
        return text

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics. ``prometheus_client`` calls this method."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        requests = CounterMetricFamily(
            "adapter_requests",
            "Requests that have ended, by method and status class; 0xx counts requests without a response.",
            labels=["method", "status"],
        )
        for labels, count in self.requests.items():
            requests.add_metric(labels, count)
        yield requests
        yield GaugeMetricFamily("adapter_requests_in_flight", "Requests in progress.", self.in_flight)
        yield CounterMetricFamily("adapter_request_bytes", "Body bytes received from clients.", self.request_bytes)
        yield CounterMetricFamily("adapter_response_bytes", "Body bytes sent to clients.", self.response_bytes)
        yield CounterMetricFamily(
            "adapter_throttled_seconds", "Total delay that bandwidth caps added to responses.", self.throttled_seconds
        )
        yield CounterMetricFamily("adapter_app_starts", "Number of starts of the app.", self.app_starts)
        errors = CounterMetricFamily(
            "adapter_upstream_errors",
            "Requests that failed because of the app or an internal error of the adapter, by error.",
            labels=["error"],
        )
        for name, count in self.upstream_errors.items():
            errors.add_metric([name], count)
        yield errors
        first_byte = HistogramMetricFamily(
            "adapter_time_to_first_byte_seconds", "Time from the request to the app's response head."
        )
        bounds = (*map(str, FIRST_BYTE_BOUNDS), "+Inf")
        first_byte.add_metric(
            [], list(zip(bounds, accumulate(self.first_byte_counts), strict=True)), self.first_byte_sum
        )
        yield first_byte
