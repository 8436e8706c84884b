"""The table of the measured invocations."""

from __future__ import annotations

from dataclasses import dataclass

from compare.events import Expected, binary, function_url_event, text
from compare.texts import PASSAGES, repeated

KIB, MIB = 1024, 1024 * 1024
# 4.5 MB of binary data are 6.0 MB of base64, the limit of an event and of a buffered response.
LARGE = 4_500_000
STREAM = 200 * MIB
STREAM_CHUNK = 16 * KIB
SSE_EVENTS, SSE_INTERVAL_US = 1000, 200
SSE_EVENT = b"id: 1234567\ndata: one small event, OK.\n\n"

# The workloads that quick mode measures on one core as well.
QUICK_ON_ONE_CORE = ("1k", "stream-length")
ALL = ("adapter", "plain", "rust", "rust-rc", "rust-given", "floor", "aiohttp")


@dataclass(frozen=True, kw_only=True)
class Workload:
    """One kind of invocation. A sample has ``count`` invocations, after ``warm_up`` that do not count.

    ``quick`` is the count in quick mode, or 0 to leave the workload out. ``turns`` multiplies the number of rounds,
    because figures of code that copies memory vary most. ``passage`` is the passage that the app's text repeats, if it
    is not the usual one.
    """

    name: str
    title: str
    event: bytes
    expected: Expected
    count: int
    warm_up: int = 20
    quick: int = 0
    turns: int = 1
    streams: bool = False
    slots: int = 1
    passage: bytes = b""
    subjects: tuple[str, ...] = ALL
    figures: tuple[str, ...] = ("cpu_us", "p50_us", "p99_us", "per_second", "memory_mb")


def _both_ways(name: str, title: str, path: str, body: bytes, answer: bytes, **more: int) -> Workload:
    return Workload(
        name=name,
        title=title,
        event=function_url_event(path, body=body, is_text=not path.startswith("/binary")),
        expected=Expected(body=answer, received=len(body)),
        count=more["count"],
        quick=more.get("quick", 0),
        warm_up=more.get("warm_up", 20),
    )


def _one_way(name: str, title: str, path: str, answer: bytes, **more: int) -> Workload:
    return Workload(
        name=name,
        title=title,
        event=function_url_event(path),
        expected=Expected(body=answer),
        count=more["count"],
        quick=more.get("quick", 0),
        warm_up=more.get("warm_up", 20),
    )


def _stream(name: str, title: str, path: str, answer: bytes, count: int, quick: int = 0) -> Workload:
    return Workload(
        name=name,
        title=title,
        event=function_url_event(path),
        expected=Expected(body=answer),
        count=count,
        quick=quick,
        turns=3,
        warm_up=1,
        streams=True,
        figures=("cpu_us", "mb_per_second", "memory_mb"),
    )


def _slots(slots: int, count: int, subjects: tuple[str, ...]) -> Workload:
    return Workload(
        name=f"slots-{slots}",
        title=f"{slots} Managed-Instances slot{'s' if slots > 1 else ''}, an app that takes 5 ms",
        event=function_url_event("/slow/5/1024"),
        expected=Expected(body=text(KIB)),
        count=count,
        slots=slots,
        subjects=subjects,
        figures=("per_second", "cpu_us", "p50_us", "p99_us", "memory_mb"),
    )


def _growing_stream(size: int, count: int) -> Workload:
    return _stream(f"grow-{size}", f"streamed, {_size(size)}", f"/text/{size}", text(size), count)


def _growing_headers(headers: int) -> Workload:
    return Workload(
        name=f"grow-headers-{headers}",
        title=f"{headers} more headers both ways",
        event=function_url_event(f"/headers/{headers}/1024", more_headers=headers),
        expected=Expected(body=text(KIB)),
        count=500,
        figures=("cpu_us", "memory_mb"),
    )


def _texts() -> list[Workload]:
    """Return the workloads of real texts in both directions: each kind of text in events of each style."""
    rows = []
    for kind, passage in PASSAGES.items():
        body, path = repeated(passage.encode(), LARGE), "/text/1024"
        for style in ("compact", "spaced"):
            rows.append(
                Workload(
                    name=f"text-up-{kind}" + ("" if style == "compact" else f"-{style}"),
                    title=f"4.5 MB text up: {kind}, event {style}",
                    event=function_url_event(path, body=body, style=style),
                    expected=Expected(body=text(KIB), received=len(body)),
                    count=8,
                    quick=6 if (kind, style) in _QUICK_TEXTS else 0,
                    warm_up=2,
                )
            )
        rows.append(
            Workload(
                name=f"text-down-{kind}",
                title=f"4.5 MB text down: {kind}",
                event=function_url_event(f"/text/{len(body)}"),
                expected=Expected(body=body),
                passage=passage.encode(),
                count=8,
                quick=6 if kind in ("json", "prose") else 0,
                warm_up=2,
            )
        )
    return rows


_QUICK_TEXTS = (("json", "compact"), ("prose", "spaced"))


def _size(size: int) -> str:
    return f"{size // MIB} MiB" if size >= MIB else f"{size // KIB} KiB"


def workloads() -> list[Workload]:
    """Return all workloads. They are made only when needed, because their expected answers take hundreds of MB."""
    without_slots = tuple(name for name in ALL if name != "rust")
    large_binary = binary(LARGE)
    return [
        _one_way("1k", "1 KB event and answer", "/text/1024", text(KIB), count=2000, quick=1500),
        _both_ways("64k", "64 KB up and down", "/text/65536", text(64 * KIB), text(64 * KIB), count=400, quick=200),
        _both_ways("binary-up", "4.5 MB binary up", "/binary/1024", large_binary, binary(KIB), count=8, warm_up=2),
        _one_way("binary-down", "4.5 MB binary down", f"/binary/{LARGE}", large_binary, count=12, quick=8, warm_up=2),
        *_texts(),
        _stream("stream-length", "200 MB streamed, Content-Length", f"/text/{STREAM}", text(STREAM), 1, quick=1),
        _stream(
            "stream-chunks",
            "200 MB streamed, 16 KB chunks",
            f"/chunks/{STREAM}/{STREAM_CHUNK}",
            text(STREAM_CHUNK) * (STREAM // STREAM_CHUNK),
            1,
        ),
        Workload(
            name="sse",
            title=f"{SSE_EVENTS} server-sent events, one every {SSE_INTERVAL_US} µs",
            event=function_url_event(f"/events/{SSE_EVENTS}/{SSE_INTERVAL_US}"),
            expected=Expected(body=SSE_EVENT * SSE_EVENTS),
            count=2,
            warm_up=1,
            streams=True,
            figures=("cpu_us", "memory_mb"),
        ),
        Workload(
            name="first-byte",
            title="1 KB streamed: time to first byte",
            event=function_url_event("/text/1024"),
            expected=Expected(body=text(KIB)),
            # A small count, because a client that sends head and body separately waits 40 ms for an acknowledgement
            # (Nagle's algorithm).
            count=60,
            quick=200,
            warm_up=5,
            streams=True,
            figures=("first_p50_us", "first_p99_us", "p50_us", "cpu_us"),
        ),
        _slots(1, 150, ALL),
        _slots(8, 1200, without_slots),
        _slots(64, 5000, without_slots),
        *(_growing_stream(size, count) for size, count in ((KIB, 60), (64 * KIB, 60), (4 * MIB, 20), (50 * MIB, 2))),
        *map(_growing_headers, (5, 50, 500)),
    ]
