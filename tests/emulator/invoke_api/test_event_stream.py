"""Event-stream framing: a round trip, botocore as the judge, and what must be refused."""

from __future__ import annotations

import struct
from itertools import pairwise
from zlib import crc32

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from adapter.emulator.invoke_api.event_stream import (
    MAX_HEADERS,
    MAX_PAYLOAD,
    Decoder,
    InvalidEventStreamError,
    Message,
    encode,
)

names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
values = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
messages = st.builds(Message, st.dictionaries(names, values, max_size=5), st.binary(max_size=300))


def wire(message: Message) -> bytes:
    return encode(message.headers, message.payload)


@given(st.lists(messages, max_size=4), st.lists(st.integers(0, 3000), max_size=8))
def test_what_was_encoded_is_decoded_however_the_bytes_are_split(sent: list[Message], cuts: list[int]) -> None:
    stream = b"".join(map(wire, sent))
    edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    decoder = Decoder()
    received = [message for begin, end in pairwise(edges) for message in decoder.feed(stream[begin:end])]
    decoder.close()
    assert received == sent


@given(messages)
def test_botocore_reads_what_was_encoded(message: Message) -> None:
    buffer = EventStreamBuffer()
    buffer.add_data(wire(message))
    (event,) = list(buffer)
    assert (event.headers, event.payload) == (message.headers, message.payload)


@given(messages, st.data())
def test_no_flipped_bit_goes_unnoticed(message: Message, data: st.DataObject) -> None:
    stream = bytearray(wire(message))
    bit = data.draw(st.integers(0, len(stream) * 8 - 1))
    stream[bit // 8] ^= 1 << bit % 8
    decoder = Decoder()
    with pytest.raises(InvalidEventStreamError):
        decoder.feed(bytes(stream))


def test_the_layout_is_the_documented_one() -> None:
    header = b"\x01h" + b"\x07" + struct.pack(">H", 1) + b"v"
    lengths = struct.pack(">II", 4 * 4 + len(header) + 2, len(header))
    before = lengths + struct.pack(">I", crc32(lengths)) + header + b"hi"
    assert encode({"h": "v"}, b"hi") == before + struct.pack(">I", crc32(before))


def test_a_stream_that_ends_within_a_message_is_noticed() -> None:
    decoder = Decoder()
    assert decoder.feed(encode({}, b"whole") + encode({}, b"cut")[:-1]) == [Message({}, b"whole")]
    with pytest.raises(InvalidEventStreamError, match="ended 18 bytes into a message"):
        decoder.close()


def framed(headers: bytes, headers_length: int | None = None, total: int | None = None) -> bytes:
    """Return a message with correct checksums; its lengths may be wrong."""
    length = len(headers) if headers_length is None else headers_length
    lengths = struct.pack(">II", 16 + len(headers) if total is None else total, length)
    before = lengths + struct.pack(">I", crc32(lengths)) + headers
    return before + struct.pack(">I", crc32(before))


@pytest.mark.parametrize(
    ("stream", "why"),
    [
        pytest.param(framed(b"\x01h\x06\x00\x00"), "type 6", id="not-a-string"),
        pytest.param(framed(b"\x01h\x07\x00\x05v"), "extends beyond the headers", id="value-too-long"),
        pytest.param(framed(b"\x09h"), "cannot be read", id="name-too-long"),
        pytest.param(framed(b"\x01h\x07\x00"), "cannot be read", id="half-a-length"),
        pytest.param(framed(b"\x01\xff\x07\x00\x00"), "cannot be read", id="name-not-utf-8"),
        pytest.param(framed(b"", headers_length=1), "with 1 bytes of headers", id="headers-beyond-the-message"),
        pytest.param(framed(b"", total=15), "a message of 15 bytes", id="shorter-than-its-frame"),
        pytest.param(framed(b"", MAX_HEADERS + 1, MAX_HEADERS + 17), "of headers", id="headers-beyond-the-limit"),
        pytest.param(framed(b"", total=MAX_PAYLOAD + 17), "a message of", id="payload-beyond-the-limit"),
    ],
)
def test_what_is_no_message_is_refused(stream: bytes, why: str) -> None:
    with pytest.raises(InvalidEventStreamError, match=why):
        Decoder().feed(stream)


@pytest.mark.parametrize(
    ("headers", "size"),
    [
        pytest.param({"": "v"}, 0, id="no-name"),
        pytest.param({"n" * 256: "v"}, 0, id="name-too-long"),
        pytest.param({"n": "v" * 0x8000}, 0, id="value-too-long"),
        pytest.param({f"n{number}": "v" * 0x7FFF for number in range(5)}, 0, id="headers-too-large"),
        pytest.param({}, MAX_PAYLOAD + 1, id="payload-too-large"),
    ],
)
def test_what_no_client_would_take_is_not_written(headers: dict[str, str], size: int) -> None:
    with pytest.raises(InvalidEventStreamError):
        encode(headers, bytes(size))
