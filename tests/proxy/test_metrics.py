"""The metrics in the format that Prometheus scrapes."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from adapter.proxy.metrics import FIRST_BYTE_BOUNDS, Metrics


def test_times_to_first_byte_fall_into_cumulative_buckets() -> None:
    metrics = Metrics()
    for seconds in (0.0005, 0.001, 0.3, 100.0):
        metrics.count_request("GET", 200, 0, seconds)
    families = {family.name: family for family in text_string_to_metric_families(metrics.exposition().decode())}
    samples = families["adapter_time_to_first_byte_seconds"].samples
    buckets = {sample.labels["le"]: sample.value for sample in samples if sample.name.endswith("_bucket")}
    # A value that equals a bound is in the bucket of the bound.
    assert (buckets["0.001"], buckets["0.25"], buckets["0.5"], buckets["30.0"], buckets["+Inf"]) == (2, 2, 3, 3, 4)
    assert len(buckets) == len(FIRST_BYTE_BOUNDS) + 1
    assert {sample.name: sample.value for sample in samples}["adapter_time_to_first_byte_seconds_sum"] == 100.3015


def test_everything_has_its_name_labels_and_type() -> None:
    metrics = Metrics()
    metrics.requests["GET", "2xx"] = 3
    metrics.upstream_errors["Adapter.AppTimeout"] = 2
    metrics.in_flight = 1
    metrics.request_bytes, metrics.response_bytes = 10, 20
    metrics.throttled_seconds = 1.5
    metrics.app_starts = 4
    families = list(text_string_to_metric_families(metrics.exposition().decode()))
    samples = [
        (family.type, sample.name, sample.labels, sample.value)
        for family in families
        for sample in family.samples
        if family.type != "histogram"
    ]
    assert samples == [
        ("counter", "adapter_requests_total", {"method": "GET", "status": "2xx"}, 3),
        ("gauge", "adapter_requests_in_flight", {}, 1),
        ("counter", "adapter_request_bytes_total", {}, 10),
        ("counter", "adapter_response_bytes_total", {}, 20),
        ("counter", "adapter_throttled_seconds_total", {}, 1.5),
        ("counter", "adapter_app_starts_total", {}, 4),
        ("counter", "adapter_upstream_errors_total", {"error": "Adapter.AppTimeout"}, 2),
    ]
