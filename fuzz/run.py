"""Runs one fuzz target with atheris: ``python -m fuzz.run events|responses|connections SECONDS``.

The corpus is kept in ``.cache/fuzz``. It begins with the inputs of the tests. The first byte of an input is the number
of cuts, which follow with two bytes each. The rest is the data to read. Findings are kept as ``crash-…``.
"""

from __future__ import annotations

import hashlib
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["adapter"]):
    from fuzz.checks import check_connection, check_event, check_payload, check_response
    from tests.hardening.events import malformed_events
    from tests.hardening.gadgets import gadgets

CORPUS = Path(__file__).resolve().parent.parent / ".cache" / "fuzz"
# The maximum size of an input, because larger inputs only take longer.
MAX_BYTES = 4096
_HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def split(data: bytes) -> tuple[bytes, list[int]]:
    """Return the bytes to read, and the places at which to cut them."""
    count = data[0] % 8 if data else 0
    numbers = data[1 : 1 + 2 * count]
    cuts = [int.from_bytes(numbers[at : at + 2], "big") for at in range(0, len(numbers), 2)]
    return data[1 + 2 * count :], cuts


def events(data: bytes) -> None:
    raw, cuts = split(data)
    check_event(raw)
    check_payload(raw, cuts)


def responses(data: bytes) -> None:
    raw, cuts = split(data)
    check_response(raw, cuts, "HEAD" if len(cuts) == 7 else "GET")


def connections(data: bytes) -> None:
    raw, cuts = split(data)
    check_connection(raw, cuts)


def seeds(name: str) -> Iterator[bytes]:
    """Return the first inputs of a corpus."""
    if name == "events":
        yield from (raw for _, raw in malformed_events(500, 6))
        yield b'{"statusCode":200,"headers":{"a":"b"},"multiValueHeaders":{"a":["b"]},"cookies":["a=b"],"body":""}'
        yield b'{"statusCode":200}' + b"\0" * 8 + b"body"
    elif name == "connections":
        yield from (payload for _, payload in gadgets())
    else:
        for end in (b"2\r\nok\r\n0\r\n\r\n", b"0\r\nA: b\r\n\r\n", b"2;a=b\r\nok\r\n", b"x"):
            yield _HEAD + end
        yield b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        yield b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nuntil the end"
        yield b"HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\ndata"


TARGETS: dict[str, Callable[[bytes], None]] = {"events": events, "responses": responses, "connections": connections}


def main(name: str, seconds: str) -> None:
    """Fuzz. The process ends with libFuzzer's exit code, which is 0 if nothing was found."""
    corpus = CORPUS / name
    corpus.mkdir(parents=True, exist_ok=True)
    chance = random.Random(6)
    for seed in seeds(name):
        if len(seed) < MAX_BYTES:
            cuts = bytes(chance.randrange(256) for _ in range(2 * chance.randrange(8)))
            data = bytes([len(cuts) // 2]) + cuts + seed
            (corpus / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={MAX_BYTES}",
        f"-artifact_prefix={CORPUS}/{name}-",
        "-timeout=10",
    ]
    atheris.Setup([sys.argv[0], *options, str(corpus)], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
