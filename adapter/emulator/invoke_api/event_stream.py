"""Encodes and decodes messages of ``application/vnd.amazon.eventstream``. No I/O.

A message consists of its length, the length of its headers, a CRC-32 of these two lengths, the headers, the payload,
and a CRC-32 of all preceding bytes. Numbers are big-endian. A header has a name and a typed value; the values of all
headers that Lambda sends have type 7, a string. (Smithy, "Amazon Event Stream" specification.)
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING
from zlib import crc32

if TYPE_CHECKING:
    from collections.abc import Mapping

CONTENT_TYPE = "application/vnd.amazon.eventstream"

#: The largest headers and the largest payload that clients accept in one message, in bytes.
MAX_HEADERS = 128 * 1024
MAX_PAYLOAD = 24 * 1024 * 1024

_PRELUDE = struct.Struct(">III")
_CRC = struct.Struct(">I")
_FRAMING = _PRELUDE.size + _CRC.size
_VALUE_LENGTH = struct.Struct(">H")
# The type of a header value that is a string.
_STRING = 7


class InvalidEventStreamError(Exception):
    """Bytes that are not a valid message, or a message that is larger than clients accept."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message: the values of its headers by name, and its payload."""

    headers: dict[str, str]
    payload: bytes


def encode(headers: Mapping[str, str], payload: bytes | memoryview) -> bytes:
    """Return an encoded message. Raises InvalidEventStreamError if a header or the payload is too long."""
    encoded = b"".join(_header(name, value) for name, value in headers.items())
    if len(encoded) > MAX_HEADERS or len(payload) > MAX_PAYLOAD:
        raise InvalidEventStreamError(
            f"a message is too large: its headers have {len(encoded)} bytes (limit {MAX_HEADERS}), its payload has "
            f"{len(payload)} bytes (limit {MAX_PAYLOAD})"
        )
    lengths = struct.pack(">II", _FRAMING + len(encoded) + len(payload), len(encoded))
    head = lengths + _CRC.pack(crc32(lengths)) + encoded
    # The checksum of head and payload is computed in two steps, to avoid a copy of the payload.
    return b"".join((head, payload, _CRC.pack(crc32(payload, crc32(head)))))


def _header(name: str, value: str) -> bytes:
    encoded_name, encoded_value = name.encode(), value.encode()
    if not 0 < len(encoded_name) < 256 or len(encoded_value) > 0x7FFF:
        raise InvalidEventStreamError(
            f"the header {name[:50]!r} is not valid: its name is empty or too long, or its value is too long"
        )
    lengths = bytes([_STRING]) + _VALUE_LENGTH.pack(len(encoded_value))
    return bytes([len(encoded_name)]) + encoded_name + lengths + encoded_value


class Decoder:
    """Decodes the messages of one stream. The stream may arrive in pieces of any size."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """Add the next bytes; return the messages that are complete now.

        Raises InvalidEventStreamError if the bytes are not valid. After this error, do not call ``feed`` again.
        """
        self._buffer += data
        return list(iter(self._next, None))

    def close(self) -> None:
        """End the stream. Raises InvalidEventStreamError if the stream ended within a message."""
        if self._buffer:
            raise InvalidEventStreamError(f"the stream ended {len(self._buffer)} bytes into a message")

    def _next(self) -> Message | None:
        buffer = self._buffer
        if len(buffer) < _PRELUDE.size:
            return None
        total, headers_length, checksum = _PRELUDE.unpack_from(buffer)
        if checksum != crc32(buffer[: _PRELUDE.size - _CRC.size]):
            raise InvalidEventStreamError("the checksum of a message's lengths is wrong")
        payload_length = total - headers_length - _FRAMING
        if headers_length > MAX_HEADERS or not 0 <= payload_length <= MAX_PAYLOAD:
            raise InvalidEventStreamError(
                f"a message of {total} bytes with {headers_length} bytes of headers is too small or too large"
            )
        if len(buffer) < total:
            return None
        message = bytes(buffer[:total])
        del buffer[:total]
        if _CRC.unpack(message[-_CRC.size :])[0] != crc32(message[: -_CRC.size]):
            raise InvalidEventStreamError("the checksum of a message is wrong")
        split = _PRELUDE.size + headers_length
        return Message(_headers(message[_PRELUDE.size : split]), message[split : -_CRC.size])


def _headers(encoded: bytes) -> dict[str, str]:
    headers = {}
    position = 0
    try:
        while position < len(encoded):
            name_end = position + 1 + encoded[position]
            if encoded[name_end] != _STRING:
                raise InvalidEventStreamError(
                    f"a header value has type {encoded[name_end]}; only strings are supported"
                )
            value_start = name_end + 1 + _VALUE_LENGTH.size
            value_end = value_start + _VALUE_LENGTH.unpack_from(encoded, name_end + 1)[0]
            if value_end > len(encoded):
                raise InvalidEventStreamError("a header value extends beyond the headers")
            headers[encoded[position + 1 : name_end].decode()] = encoded[value_start:value_end].decode()
            position = value_end
    except (IndexError, struct.error, UnicodeDecodeError) as error:
        raise InvalidEventStreamError(f"the headers of a message cannot be read: {error}") from error
    return headers
