"""The candidates between the Runtime API and an app: the command and the variables of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from compare.builds import adapter
from compare.peers import PEERS
from compare.places import PEERS as PEER_PROGRAMS

# Variables that Lambda sets, and that a runtime may require.
LAMBDA_VARIABLES = {
    "AWS_LAMBDA_FUNCTION_NAME": "bench",
    "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",
    "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/bench",
    "AWS_LAMBDA_LOG_STREAM_NAME": "2026/01/01/[$LATEST]bench",
    "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
    "AWS_REGION": "us-east-1",
    "LAMBDA_TASK_ROOT": "/var/task",
}


@dataclass(frozen=True, kw_only=True)
class Adapter:
    """A candidate. ``command`` returns its command, or raises MissingPeer.

    ``has_slots`` is True if it supports Managed Instances.
    """

    title: str
    command: Callable[[], list[str | Path]]
    has_slots: bool = True


ADAPTERS: Mapping[str, Adapter] = {
    "adapter": Adapter(title="this adapter", command=lambda: [adapter(), "run"]),
    "plain": Adapter(title="this adapter as plain Python", command=lambda: [adapter(compiled=False), "run"]),
    "rust": Adapter(title="Rust adapter", command=lambda: [PEERS["rust"]().path], has_slots=False),
    "rust-rc": Adapter(title="Rust adapter, pre-release", command=lambda: [PEERS["rust-rc"]().path]),
    "rust-given": Adapter(title="Rust adapter, as named", command=lambda: [PEERS["rust-given"]().path]),
    "floor": Adapter(title="C relay (the floor)", command=lambda: [PEERS["floor"]().path]),
    "aiohttp": Adapter(
        title="aiohttp as client", command=lambda: [PEERS["aiohttp"]().path, PEER_PROGRAMS / "aiohttp_runtime.py"]
    ),
}


def environ(api: str, app_port: int, *, streams: bool = False, slots: int = 1) -> dict[str, str]:
    """Return the variables of a candidate between the Runtime API at ``api`` and the app at ``app_port``."""
    variables = LAMBDA_VARIABLES | {"AWS_LAMBDA_RUNTIME_API": api, "AWS_LWA_PORT": str(app_port)}
    variables["AWS_LWA_INVOKE_MODE"] = "response_stream" if streams else "buffered"
    if slots > 1:
        variables["AWS_LAMBDA_MAX_CONCURRENCY"] = str(slots)
    return variables
