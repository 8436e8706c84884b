"""Draws the pictures of the site that need no measurement: a stream under Lambda's cap, and a rolling restart.

python docs/pictures.py           write them
python docs/pictures.py --check   exit with 1 if they differ from what is there

The curve of the stream comes from the token bucket with which the adapter itself paces streams.
"""

from __future__ import annotations

import sys
from html import escape
from pathlib import Path

from adapter.aws.limits import LAMBDA_BANDWIDTH
from adapter.net.token_bucket import TokenBucket

DOCS = Path(__file__).resolve().parent
MB = 1024 * 1024
BLUE, GREEN, ORANGE, GREY, INK = "#1f6feb", "#1a7f37", "#d4740b", "#afb8c1", "#24292f"
ROOT = 'xmlns="http://www.w3.org/2000/svg" role="img" font-family="system-ui, sans-serif" font-size="13"'


class Drawing:
    """An SVG picture of ``width`` by ``height`` pixels, with a title for readers that cannot see it."""

    def __init__(self, width: int, height: int, title: str) -> None:
        self._parts = [
            f'<svg {ROOT} viewBox="0 0 {width} {height}" width="{width}">',
            f"<title>{escape(title)}</title>",
            f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        ]

    def text(self, x: float, y: float, words: str, *, anchor: str = "start", color: str = INK) -> None:
        """Write ``words`` at a point; ``anchor`` is the part of them that is there."""
        self._parts.append(f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" fill="{color}">{escape(words)}</text>')

    def line(self, points: list[tuple[float, float]], color: str = GREY, width: float = 1) -> None:
        """Draw a line through ``points``."""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self._parts.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="{width:g}"/>')

    def bar(self, x: float, y: float, width: float, color: str, words: str) -> None:
        """Draw a bar with ``words`` in it."""
        self._parts.append(f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="30" rx="3" fill="{color}"/>')
        self.text(x + width / 2, y + 20, words, anchor="middle", color="#ffffff")

    def svg(self) -> str:
        """Return the picture as a file's text."""
        return "\n".join([*self._parts, "</svg>", ""])


def stream_curve(size: int) -> list[tuple[float, int]]:
    """Return when how many bytes of a response of ``size`` bytes have been sent under Lambda's cap."""
    bucket = TokenBucket(LAMBDA_BANDWIDTH)
    sent, now = bucket.take(size, 0.0), 0.0
    curve = [(0.0, 0), (0.0, sent)]
    while sent < size:
        now = bucket.next_refill()
        curve.append((now, sent))
        sent += bucket.take(size - sent, now)
        curve.append((now, sent))
    return curve


def stream_under_the_cap() -> str:
    """Return the picture of a response of 20 MB."""
    size = 20 * MB
    curve = stream_curve(size)
    left, bottom, across, up = 60, 250, 520, 210
    end = curve[-1][0]
    drawing = Drawing(640, 300, f"A stream of 20 MB: 6 MB at once, then 2 MB/s, complete after {end:g} s")
    for seconds in range(8):
        x = left + across * seconds / 8
        drawing.line([(x, bottom), (x, bottom - up)])
        drawing.text(x, bottom + 18, f"{seconds} s", anchor="middle")
    for megabytes in range(0, 21, 5):
        y = bottom - up * megabytes / 20
        drawing.line([(left, y), (left + across, y)])
        drawing.text(left - 8, y + 4, f"{megabytes} MB", anchor="end")
    points = [(left + across * at / 8, bottom - up * sent / size) for at, sent in curve]
    drawing.line(points, BLUE, 2.5)
    drawing.text(left + 10, bottom - up * 0.3 + 22, "6 MB at once", color=BLUE)
    drawing.text(left + across * 0.47, bottom - up * 0.55, "then 2 MB/s, in steps of 125 ms", color=BLUE)
    drawing.text(left, 288, "What the client has received of a response that the app sends at once")
    return drawing.svg()


def rolling_restart() -> str:
    """Return the picture of the restart of one of two replicas."""
    drawing = Drawing(880, 300, "A replica restarts while another one serves: the order of the steps")
    first, second, x = 90, 190, 110
    drawing.text(10, first - 30 + 20, "replica 1")
    drawing.text(10, second - 30 + 20, "replica 2")
    phases = [
        (110, GREEN, "serves"),
        (180, BLUE, "--drain-delay"),
        (150, ORANGE, "--grace"),
        (190, GREY, "starts"),
        (120, GREEN, "serves"),
    ]
    steps = ["SIGTERM", "stops listening", "app ends", "app is ready"]
    notes = [
        ["/readyz 503,", "still serves; each response", "ends its connection"],
        ["refuses connections,", "streams finish"],
        ["--listen-when-ready: refuses", "connections; else 503"],
    ]
    at = x
    for number, (width, color, words) in enumerate(phases):
        drawing.bar(at, first - 30, width, color, words)
        at += width
        if number < len(steps):
            drawing.line([(at, first - 48), (at, first + 2)], INK)
            drawing.text(at, first - 54, steps[number], anchor="middle")
        if 1 <= number <= len(notes):
            for row, note in enumerate(notes[number - 1]):
                drawing.text(at - width / 2, first + 18 + 17 * row, note, anchor="middle")
    drawing.bar(x, second - 30, at - x, GREEN, "serves everything that replica 1 does not take")
    drawing.text(x, 225, "HAProxy takes replica 1 out as soon as /readyz answers 503, and back in when it answers 200.")
    drawing.text(x, 247, "nginx goes on trying it: a refused connection goes to replica 2 at once, also for a POST.")
    return drawing.svg()


def pictures() -> dict[Path, str]:
    """Return the text of each picture."""
    return {
        DOCS / "streaming.svg": stream_under_the_cap(),
        DOCS / "deploy" / "rolling-restart.svg": rolling_restart(),
    }


def main() -> int:
    """Write or check the pictures, and return the exit code."""
    code = 0
    for path, text in pictures().items():
        if "--check" not in sys.argv[1:]:
            path.write_text(text, "utf-8")
        elif not path.is_file() or path.read_text("utf-8") != text:
            sys.stderr.write(f"{path.name} differs from what docs/pictures.py draws; run make docs\n")
            code = 1
    return code


if __name__ == "__main__":
    sys.exit(main())
