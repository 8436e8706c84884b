"""Fields that the events of several front doors share, written the way AWS writes them."""

from __future__ import annotations

from time import gmtime

TYPE_CHECKING = False
if TYPE_CHECKING:
    from adapter.payload.request_target import Pairs

#: The protocol in every ``requestContext``, whatever the client spoke.
PROTOCOL = "HTTP/1.1"
#: Where the local AWS lives; part of the ARNs in events.
REGION = "us-east-1"

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def log_time(time_ms: int) -> str:
    """Milliseconds since the epoch in the common log format of ``requestContext``: ``12/Mar/2020:19:03:58 +0000``."""
    at = gmtime(time_ms // 1000)
    return f"{at.tm_mday:02}/{_MONTHS[at.tm_mon - 1]}/{at.tm_year}:{at.tm_hour:02}:{at.tm_min:02}:{at.tm_sec:02} +0000"


def single_parameters(pairs: Pairs) -> dict[str, str]:
    """A single-value query map: the last value of a repeated name survives."""
    return dict(pairs)


def listed_parameters(pairs: Pairs) -> dict[str, list[str]]:
    """A multi-value query map."""
    lists: dict[str, list[str]] = {}
    for name, value in pairs:
        lists.setdefault(name, []).append(value)
    return lists
