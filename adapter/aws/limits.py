"""AWS's limits, and the bandwidth limit of one stream. In AWS's documents, 1 MB is 1,024 KiB.

This module must not be compiled. It is imported before the app is started, and importing one compiled module would load
all compiled modules.
"""

from __future__ import annotations

KIB = 1024
MIB = 1024 * KIB

# Lambda quotas, "Invocation payload": 6 MB for a synchronous request.
REQUEST_LIMIT = 6 * MIB
# The same page says 6 MB for a buffered response; the source of AWS's emulator adds 100 bytes. The whole encoded JSON
# counts.
BUFFERED_RESPONSE_LIMIT = 6 * MIB + 100
# Lambda quotas, "Maximum response size for streamed responses": 200 MB since 31 July 2025, 20 MB before then.
STREAM_LIMIT = 200 * MIB
STREAM_LIMIT_UNTIL_2025 = 20 * MIB
# Streamed bytes beyond the first 6 MB of each response are billed (Lambda pricing, "Response streaming").
FREE_STREAM_BYTES = 6 * MIB

# The maximums in the service model of Lambda's API (botocore 1.44.8, November 2026): a function's timeout in seconds,
# its timeout on Managed Instances, and the number of concurrent invocations of an environment on Managed Instances.
FUNCTION_TIMEOUT_LIMIT = 1800.0
MANAGED_INSTANCES_TIMEOUT_LIMIT = 5400.0
MAX_CONCURRENCY = 1600
# The seconds and MB of a function that sets neither (CloudFormation, AWS::Lambda::Function).
DEFAULT_FUNCTION_TIMEOUT, DEFAULT_FUNCTION_MEMORY = 3.0, 128
# Lambda quotas, "Memory allocation" (in MB).
MIN_MEMORY, MAX_MEMORY = 128, 10240
# The path for events that are not HTTP requests: the default of AWS Lambda Web Adapter.
PASS_THROUGH_PATH = "/events"

# The range that Lambda's limiter accepts, both for the burst (in bytes) and for the rate (in bytes per second). Source:
# AWS's emulator, bandwidthlimiter.
MIN_BANDWIDTH = 32 * KIB
MAX_BANDWIDTH = 64 * MIB


class Bandwidth:
    """A bandwidth limit: ``burst`` bytes at once, then ``rate`` bytes per second."""

    __slots__ = ("burst", "rate")

    def __init__(self, *, burst: int, rate: int) -> None:
        self.burst = burst
        self.rate = rate

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Bandwidth) and (self.burst, self.rate) == (other.burst, other.rate)

    def __hash__(self) -> int:
        return hash((self.burst, self.rate))

    def __repr__(self) -> str:
        return f"Bandwidth(burst={self.burst}, rate={self.rate})"


# Lambda, "Bandwidth limits for response streaming": no limit for the first 6 MB, then 2 MB/s.
LAMBDA_BANDWIDTH = Bandwidth(burst=6 * MIB, rate=2 * MIB)
